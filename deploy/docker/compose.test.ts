import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { readConfig, type Spec } from '../../services/core/config.ts';
import { ENRICHER_SPEC } from '../../services/enricher/config.ts';
import { GATEWAY_SPEC } from '../../services/gateway/config.ts';
import { serviceCommand } from '../../services/local/parts/node-service.ts';
import { NLP_SERVICE_SPEC } from '../../services/nlp/config.ts';
import { LIFECYCLE_SPEC } from '../../services/platform/lifecycle.ts';
import { TRACING_SPEC } from '../../services/platform/tracing/config.ts';
import { SINK_SPEC } from '../../services/sink/config.ts';

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly restart?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly deploy?: { readonly resources: { readonly limits: { readonly cpus: string; readonly memory: string } } };
}

const ROOT = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const compose = parse(read('docker-compose.kafka.yml'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const services = Object.entries(compose.services);
const OURS: Readonly<Record<string, Spec>> = {
  gateway: GATEWAY_SPEC,
  enricher: ENRICHER_SPEC,
  sink: SINK_SPEC,
  nlp: NLP_SERVICE_SPEC,
};
const ADMIN_PORTS: Readonly<Record<string, number>> = { gateway: 9480, enricher: 9481, sink: 9482, nlp: 9483 };

/** Compose's `${NAME:-default}` and `${NAME?message}`, the forms that the file uses. */
function interpolate(value: string, env: Readonly<Record<string, string>>): string {
  return value.replace(/\$\{(\w+)(:-|\?)([^}]*)\}/g, (_, name: string, operator: string, rest: string) => {
    if (operator === ':-') return env[name] || rest;
    if (env[name] === undefined) throw new Error(rest);
    return env[name];
  });
}

const environmentOf = (name: string, env: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(compose.services[name]?.environment ?? {}).map(([key, value]) => [
      key,
      interpolate(String(value), env),
    ]),
  );

describe.each(services)('%s', (name, service) => {
  it('has a pinned image, a health check, a restart policy and limits', () => {
    expect(service.image).toMatch(/^[\w./-]+:[\w.-]*\d+\.\d+[\w.-]*$/);
    expect(service.healthcheck?.test.length).toBeGreaterThan(1);
    expect(service.restart).toBe('unless-stopped');
    expect(Number(service.deploy?.resources.limits.cpus)).toBeGreaterThan(0);
    expect(service.deploy?.resources.limits.memory).toMatch(/^\d+[mg]$/);
  });

  it('publishes on loopback alone', () => {
    expect(service.ports?.length).toBeGreaterThan(0);
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:(\d+):\d+$/);
  });

  it('waits until what it needs is healthy, and mounts only what exists', () => {
    for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
      expect(compose.services).toHaveProperty(needed);
      expect(condition).toBe('service_healthy');
    }
    for (const volume of service.volumes ?? []) {
      const [source = ''] = volume.split(':');
      if (source.startsWith('./')) expect(existsSync(join(ROOT, source)) ? '' : `${name}: ${source}`).toBe('');
      else expect(compose.volumes).toHaveProperty(source);
    }
  });
});

describe.each(Object.entries(OURS))('our %s', (name, own) => {
  const spec: Spec = { ...own, ...LIFECYCLE_SPEC, ...TRACING_SPEC };

  it('runs our image and its own main.ts', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(compose.services[name]?.image).toBe(`parley:${version}`);
    const flags = serviceCommand(name).args.slice(0, -1);
    expect(compose.services[name]?.command).toEqual(['node', ...flags, `services/${name}/main.ts`]);
    expect(existsSync(join(ROOT, `services/${name}/main.ts`))).toBe(true);
  });

  it('is given variables that it knows, with values that it takes', () => {
    const env = environmentOf(name, { JWT_PUBLIC_KEY: '-----BEGIN PUBLIC KEY-----' });
    expect(Object.keys(env).filter((key) => !(key in spec))).toEqual([]);
    const config = readConfig(spec, env) as Record<string, unknown>;
    expect(config).toMatchObject({ ADMIN_HOST: '0.0.0.0', ADMIN_PORT: ADMIN_PORTS[name] });
  });

  it('listens where the other containers reach it', () => {
    // A loopback default would be the container's own.
    const config = readConfig(spec, environmentOf(name, { JWT_PUBLIC_KEY: '' })) as Record<string, unknown>;
    for (const [key, value] of Object.entries(config)) {
      if (/_HOST$/.test(key)) expect([key, value]).toEqual([key, '0.0.0.0']);
      if (/_(URL|BROKERS)$/.test(key) && value !== undefined)
        expect(String(value)).not.toMatch(/127\.0\.0\.1|localhost/);
    }
  });
});

describe('keys', () => {
  it('without one, compose stops with a sentence that says what to do', () => {
    expect(() => environmentOf('gateway', {})).toThrow('set it to your public key (PEM), or to nothing and JWKS_URL');
  });

  it('a key set reaches the gateway alone', () => {
    const env = environmentOf('gateway', { JWT_PUBLIC_KEY: '', JWKS_URL: 'https://keys.example.com' });
    expect(readConfig(GATEWAY_SPEC, env)).toMatchObject({
      JWT_PUBLIC_KEY: undefined,
      JWKS_URL: 'https://keys.example.com',
    });
  });
});

describe('the image', () => {
  it('runs the Node that the repository pins, and copies only what the build can see', () => {
    const dockerfile = read('deploy/docker/Dockerfile');
    const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { version: string }> };
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
    expect(new Set(bases)).toEqual(new Set([`node:${lock.packages['node_modules/node']?.version}-bookworm-slim`]));
    const visible = read('.dockerignore')
      .split('\n')
      .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, sources = '']) =>
      sources.split(' '),
    );
    expect([...new Set(copied)].sort()).toEqual([...visible].sort());
    for (const source of copied) expect(existsSync(join(ROOT, source)) ? '' : source).toBe('');
  });
});
