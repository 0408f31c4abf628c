import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../core/testing/eventually.ts';
import { readInstanceFiles } from '../../platform/instance-file.ts';
import { serviceCommand } from '../parts/node-service.ts';
import { Child, describeExit, type Exit } from '../process/child.ts';
import type { StackAddresses } from './test-stack.ts';

export { freePort } from '../../platform/free-port.ts';
export { serviceCommand } from '../parts/node-service.ts';
export { Child, type Exit } from '../process/child.ts';
export type { StackAddresses } from './test-stack.ts';

/** The shared parts of this test run (jest's project `stack`). */
export function stack(): StackAddresses {
  const file = process.env['PARLEY_TEST_STACK'];
  if (!file) throw new Error('no test stack: run this test in jest project "stack" (its name ends in .it.test.ts)');
  return JSON.parse(readFileSync(file, 'utf8')) as StackAddresses;
}

/** Names of one test file's own topics, groups and database, so that files disturb each other in nothing. */
export function isolation(name: string): { TOPIC_PREFIX: string; CLICKHOUSE_DATABASE: string } {
  const unique = `${name.replace(/[^a-z0-9]/gi, '_').toLowerCase()}_${randomBytes(4).toString('hex')}`;
  return { TOPIC_PREFIX: `${unique}.`, CLICKHOUSE_DATABASE: `test_${unique}` };
}

export type ServiceName = 'gateway' | 'enricher' | 'sink' | 'nlp' | 'console' | 'clickhouse';

/** A real service process under test. */
export interface ServiceHandle {
  readonly name: string;
  readonly pid: number;
  /** Known once {@link ready} has resolved. */
  readonly adminUrl: string;
  readonly url: string;
  readonly exited: Promise<Exit>;
  /** Waits until `/readyz` answers 200. @throws with the service's last lines when it ends or takes too long. */
  readonly ready: (options?: { timeoutMs?: number }) => Promise<void>;
  /** Sends the signal (TERM by default) and waits for the end. */
  readonly kill: (signal?: NodeJS.Signals) => Promise<Exit>;
  /** Sends a signal that does not end it, as STOP and CONT. */
  readonly signal: (signal: NodeJS.Signals) => void;
  /** All that it wrote so far. */
  readonly logs: () => string;
}

const running = new Set<ServiceHandle>();

/** Ends every service that this test file spawned and that still runs: for `afterAll`. */
export async function stopServices(): Promise<void> {
  await Promise.all([...running].map((service) => service.kill('SIGKILL')));
}

/** The environment that points a service at the shared parts, with free ports. */
function stackEnvironment(): Record<string, string> {
  const { kafkaBrokers, registryUrl, clickhouseUrl, nlpUrl } = stack();
  return {
    KAFKA_BROKERS: kafkaBrokers,
    SCHEMA_REGISTRY_URL: registryUrl,
    CLICKHOUSE_URL: clickhouseUrl,
    NLP_URL: nlpUrl,
    ADMIN_PORT: '0',
    GATEWAY_PORT: '0',
    // One process: less memory, and a kill hits all of it. Tests of several say so.
    GATEWAY_WORKERS: '1',
    // Bots of tests that do not hand over would hold up each stop by the default.
    DRAIN_HANDOVER_MS: '100',
    // Most tests that store something wait for a block.
    SINK_MIN_AGE_MS: '400',
    NLP_PORT: '0',
  };
}

/**
 * Runs a service's `main.ts` against the shared parts; `env` overrides. The process cannot outlive the test process.
 * `clickhouse` is a further endpoint of the test's own: give it CLICKHOUSE_HTTP_PORT and CLICKHOUSE_DATA_DIR.
 */
export async function spawnService(name: ServiceName, env: Record<string, string> = {}): Promise<ServiceHandle> {
  const runDir = await mkdtemp(join(tmpdir(), `parley-${name}-`));
  const output: Buffer[] = [];
  const child = await Child.start({
    ...serviceCommand(name),
    env: { ...process.env, ...stackEnvironment(), PARLEY_RUN_DIR: runDir, ...env },
    onOutput: (chunk) => output.push(chunk),
  });
  const logs = () => Buffer.concat(output).toString('utf8');
  const handle = new SpawnedService(name, child, env['PARLEY_RUN_DIR'] ?? runDir, logs);
  running.add(handle);
  void child.exited.then(async () => {
    running.delete(handle);
    await rm(runDir, { recursive: true, force: true });
  });
  return handle;
}

class SpawnedService implements ServiceHandle {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly logs: () => string;
  readonly #child: Child;
  readonly #runDir: string;
  #exit: Exit | undefined;
  #adminUrl: string | undefined;
  #url: string | undefined;

  constructor(name: string, child: Child, runDir: string, logs: () => string) {
    this.name = name;
    this.pid = child.pid;
    this.logs = logs;
    this.#child = child;
    this.#runDir = runDir;
    this.exited = child.exited.then((exit) => {
      this.#exit = exit;
      return exit;
    });
  }

  get adminUrl(): string {
    return this.#adminUrl ?? this.#notYet();
  }

  get url(): string {
    return this.#url ?? this.#notYet();
  }

  async ready({ timeoutMs = 60_000 } = {}): Promise<void> {
    let ended = false;
    await eventually(
      async () => {
        if (this.#exit) {
          ended = true;
          return;
        }
        const instance = (await readInstanceFiles(this.#runDir)).find(({ pid }) => pid === this.pid);
        if (!instance) throw new Error(`${this.name} has not come up yet:\n${this.#tail()}`);
        this.#adminUrl = instance.admin_url;
        this.#url = instance.url ?? undefined;
        const response = await fetch(`${instance.admin_url}/readyz`);
        const body = await response.text();
        if (!response.ok) throw new Error(`${this.name} is not ready: ${body}\n${this.#tail()}`);
      },
      { timeoutMs },
    );
    if (ended && this.#exit) throw new Error(`${this.name} ended with ${describeExit(this.#exit)}:\n${this.#tail()}`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.signal(signal);
  }

  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.#child.signal(signal);
    // A stopped process takes no signal but KILL before it goes on.
    if (signal !== 'SIGKILL') this.#child.signal('SIGCONT');
    return await this.exited;
  }

  #tail(): string {
    return this.logs().trimEnd().split('\n').slice(-15).join('\n');
  }

  #notYet(): never {
    throw new Error(`${this.name} has no address yet: await ready() first`);
  }
}
