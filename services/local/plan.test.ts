import { describe, expect, it } from '@jest/globals';
import { readConfig } from '../core/config.ts';
import { SPEC } from './config.ts';
import { DEFAULT_DATA_DIR, folders } from './folders.ts';
import { commandSettings, PART_NAMES, planParts } from './plan.ts';
import { readyText } from './terminal.ts';

const archive = { isThere: false, args: [], keep: async () => {} };
const jars = {
  kafka: '/cache/kafka',
  registry: '/cache/registry.jar',
  archives: { kafka: archive, registry: archive },
};

function plan(env: Record<string, string>, only: readonly (typeof PART_NAMES)[number][] = PART_NAMES) {
  const config = readConfig(SPEC, env);
  const parts = planParts({ config, paths: folders('/data'), jars, publicKey: 'PEM', only });
  return Object.fromEntries(parts.map((part) => [part.name, part]));
}

const envOf = (part: ReturnType<typeof plan>[string] | undefined) => (part?.kind === 'process' ? part.env : undefined);

describe('the plan', () => {
  it('embeds everything by default and points the services at it', () => {
    const parts = plan({});
    expect(Object.keys(parts)).toEqual([...PART_NAMES]);
    expect(envOf(parts['gateway'])).toEqual({
      KAFKA_BROKERS: '127.0.0.1:9092',
      SCHEMA_REGISTRY_URL: 'http://127.0.0.1:8081/apis/ccompat/v7',
      CLICKHOUSE_URL: 'http://127.0.0.1:8123',
      NLP_URL: 'http://127.0.0.1:8091',
      PARLEY_RUN_DIR: '/data/run',
      GATEWAY_PORT: '8080',
      JWT_PUBLIC_KEY: 'PEM',
      JWT_ISSUER: 'parley-local',
    });
    expect(envOf(parts['nlp'])).toMatchObject({ NLP_LATENCY_MEAN_MS: '200', NLP_LATENCY_P99_MS: '350' });
  });

  it('takes given addresses for the services and waits for them', () => {
    const parts = plan({ KAFKA_BROKERS: 'b1:9092,b2:9092', CLICKHOUSE_URL: 'http://house:8123/' });
    expect(parts['kafka']).toMatchObject({ kind: 'external', variable: 'KAFKA_BROKERS', address: 'b1:9092,b2:9092' });
    expect(parts['clickhouse']).toMatchObject({ kind: 'external', address: 'http://house:8123' });
    expect(envOf(parts['registry'])).toMatchObject({ APICURIO_KAFKASQL_BOOTSTRAP_SERVERS: 'b1:9092,b2:9092' });
    expect(envOf(parts['sink'])).toMatchObject({
      KAFKA_BROKERS: 'b1:9092,b2:9092',
      CLICKHOUSE_URL: 'http://house:8123',
    });
    expect(parts['sink']?.needs).toEqual(['kafka', 'registry', 'clickhouse']);
  });

  it('embeds a cluster of three, each with ports and data of its own, replicates topics, and lets all wait for all', () => {
    const parts = plan({ KAFKA_NODES: '3', KAFKA_PORT: '7000' });
    const brokers = ['kafka-1', 'kafka-2', 'kafka-3'];
    expect(Object.keys(parts).slice(0, 3)).toEqual(brokers);
    expect(brokers.map((name) => parts[name]?.address)).toEqual(['127.0.0.1:7000', '127.0.0.1:7001', '127.0.0.1:7002']);
    const folders = brokers.map((name) => (parts[name]?.kind === 'process' ? parts[name].args.at(-1) : undefined));
    expect(folders).toEqual(brokers.map((name) => `/data/kafka/${name}/server.properties`));
    expect(envOf(parts['gateway'])).toMatchObject({
      KAFKA_BROKERS: '127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002',
      TOPIC_REPLICATION: '3',
    });
    expect(parts['sink']?.needs).toEqual([...brokers, 'registry', 'clickhouse']);
    // The registry makes its topics with a replica on each broker that it sees.
    expect(parts['registry']).toMatchObject({ needs: brokers, beside: [] });
    expect(plan({})['registry']).toMatchObject({ needs: [], beside: ['kafka'] });
    expect(envOf(plan({ KAFKA_NODES: '3', KAFKA_BROKERS: 'mine:9092' })['sink'])).not.toHaveProperty(
      'TOPIC_REPLICATION',
    );
  });

  it('runs as many enrichers and sinks as asked for, on one gateway', () => {
    const parts = plan({ ENRICHER_INSTANCES: '2', SINK_INSTANCES: '3' });
    expect(Object.keys(parts).slice(4)).toEqual(['gateway', 'enricher', 'enricher-2', 'sink', 'sink-2', 'sink-3']);
  });

  it('keeps to what is asked for, and waits for nothing else', () => {
    const parts = plan({ ENRICHER_INSTANCES: '2' }, ['registry', 'enricher']);
    expect(Object.keys(parts)).toEqual(['registry', 'enricher', 'enricher-2']);
    expect(parts['enricher']?.needs).toEqual(['registry']);
    expect(parts['registry']).toMatchObject({ beside: [] });
  });

  it('adds no latency that the user has set otherwise', () => {
    const parts = plan({ NLP_LATENCY_MEAN_MS: '0', NLP_LATENCY_P99_MS: '0' });
    expect(envOf(parts['nlp'])).toMatchObject({ NLP_LATENCY_MEAN_MS: '0', NLP_LATENCY_P99_MS: '0' });
  });
});

describe('what to try next', () => {
  const textFor = (settings: Record<string, string>, variable?: string) =>
    readyText({
      parts: [{ name: 'kafka', address: 'b:9092', pid: undefined, external: variable !== undefined, variable }],
      elapsedMs: 12_340,
      dataDir: '/data',
      token: 'TOKEN',
      tokenNote: 'note',
      settings,
      complete: true,
    });

  it('names nothing more when all is where the command looks for it', () => {
    const settings = commandSettings(readConfig(SPEC, {}), DEFAULT_DATA_DIR);
    expect(settings).toEqual({});
    expect(textFor(settings)).toContain('Try next, in another terminal:\n  npx parley send --demo\n');
  });

  it('shows an NLP API’s address without user, password and query, and gives the enricher all of it', () => {
    const secret = 'http://user:s3cret@nlp.example/base?key=s3cret';
    const parts = plan({ NLP_URL: secret });
    expect(parts['nlp']).toMatchObject({ kind: 'external', address: 'http://nlp.example/base' });
  });

  it('tells the command where moved parts are, and repeats no given address', () => {
    const config = readConfig(SPEC, { KAFKA_PORT: '19092', CLICKHOUSE_URL: 'http://u:hush@house:8123' });
    const settings = commandSettings(config, '/data');
    expect(settings).toEqual({ KAFKA_BROKERS: '127.0.0.1:19092', PARLEY_DATA_DIR: '/data' });
    const text = textFor(settings, 'CLICKHOUSE_URL');
    expect(text).toContain(
      'in another terminal (with the same CLICKHOUSE_URL):\n  export KAFKA_BROKERS=127.0.0.1:19092\n',
    );
  });
});
