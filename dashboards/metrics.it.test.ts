import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createObserver } from '../services/clickhouse/observer.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../services/local/testing/stack.ts';
import { ClickHouse } from '../services/platform/clickhouse/clickhouse.ts';
import { createLogger } from '../services/platform/logger.ts';
import { Metrics } from '../services/platform/metrics.ts';
import { dashboard, rules } from './testing/files.ts';
import { selectorsOf } from './testing/promql.ts';

/** Prometheus makes this one itself, for every target. */
const BY_PROMETHEUS = ['up'];
const TYPE_LINE = /^# TYPE (\S+) (\S+)$/;
const SAMPLE_LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? /;

const env = { ...isolation('metrics'), TOPIC_PARTITIONS: '2', ADMIN_HOST: '127.0.0.2' };
const services: ServiceHandle[] = [];
/** Every series name that a scrape can show, with the labels seen on it. */
const exported = new Map<string, Set<string>>();

function remember(exposition: string): void {
  for (const line of exposition.split('\n')) {
    const [, name, type] = TYPE_LINE.exec(line) ?? [];
    if (name) {
      const suffixes = type === 'histogram' ? ['_bucket', '_count', '_sum'] : [''];
      for (const suffix of suffixes) if (!exported.has(name + suffix)) exported.set(name + suffix, new Set());
    }
    const [, sample, labels = ''] = SAMPLE_LINE.exec(line) ?? [];
    for (const [, label] of labels.matchAll(/(\w+)="/g)) if (sample && label) exported.get(sample)?.add(label);
  }
}

beforeAll(async () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const JWT_PUBLIC_KEY = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  services.push(
    ...(await Promise.all(
      (['nlp', 'gateway', 'enricher', 'sink'] as const).map((name) => spawnService(name, { ...env, JWT_PUBLIC_KEY })),
    )),
  );
  await Promise.all(services.map((service) => service.ready()));
  for (const { adminUrl } of services) remember(await (await fetch(`${adminUrl}/metrics`)).text());
  // The admin port of the shared stack's endpoint is not known here: its metrics are registered here once more.
  const metrics = new Metrics('clickhouse');
  createObserver(metrics, createLogger('test', 'silent'), [], { size: 0 } as never);
  remember(await metrics.registry.metrics());
}, 120_000);

afterAll(stopServices);

const panels = () =>
  dashboard().panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));

describe('every metric that is looked at', () => {
  const expressions = [
    ...panels().flatMap(({ title, expr }) => (expr === undefined ? [] : [[`panel ${title}`, expr] as const])),
    ...rules().map(({ alert, record, expr }) => [`rule ${alert ?? record}`, expr] as const),
    ...dashboard().templating.list.map(
      ({ name, definition }) => [`variable ${name}`, definition.replace(/^label_values\((.*), \w+\)$/, '$1')] as const,
    ),
  ];

  it.each(expressions)('%s: is exported by a running service', (_, expr) => {
    const unknown = selectorsOf(expr).filter(
      ({ metric }) => !metric.includes(':') && !BY_PROMETHEUS.includes(metric) && !exported.has(metric),
    );
    expect(unknown).toEqual([]);
  });

  it.each(expressions)('%s: has the labels that it is selected by', (_, expr) => {
    // `instance` and `job` are Prometheus's own. Labels of a series without a sample yet cannot be known from outside.
    const wrong = selectorsOf(expr).flatMap(({ metric, labels }) => {
      const seen = exported.get(metric);
      if (!seen || seen.size === 0) return [];
      return labels.filter((label) => !['instance', 'job'].includes(label) && !seen.has(label) && seen.size > 1);
    });
    expect(wrong).toEqual([]);
  });
});

it('the admin servers listen where ADMIN_HOST says', () => {
  for (const { adminUrl } of services) expect(adminUrl).toMatch(/^http:\/\/127\.0\.0\.2:\d+$/);
});

it.each(panels().flatMap(({ title, rawSql }) => (rawSql === undefined ? [] : [[title, rawSql] as const])))(
  'the SQL of %s runs as the read-only user',
  async (_, rawSql) => {
    const client = new ClickHouse({
      url: stack().clickhouseUrl,
      database: env.CLICKHOUSE_DATABASE,
      username: 'analyst',
      password: 'analyst',
      log: createLogger('test', 'silent'),
    });
    const query = rawSql
      .replaceAll('parley.', `${env.CLICKHOUSE_DATABASE}.`)
      .replace(/\$__timeFilter\((\w+)\)/g, '$1 >= toDateTime(0) AND $1 <= now()');
    expect(query).not.toContain('$__');
    await expect(client.query(query)).resolves.toEqual([]);
    await client.close();
  },
);
