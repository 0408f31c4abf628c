import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import { freePort, isolation, type ServiceHandle, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { expectExactlyOnce } from '../verify/exactly-once.ts';
import { outcomeOf } from './testing/outcomes.ts';
import { SinkWorld } from './testing/world.ts';

const PARTITIONS = 2;
const names = isolation('sink outage');
const expected = new Set<string>();
let dataDir: string;
let port: number;
let clickhouse: ServiceHandle;
let world: SinkWorld;

/** The ClickHouse endpoint of this file, which it may stop. */
const startClickHouse = async () => {
  clickhouse = await spawnService('clickhouse', { CLICKHOUSE_HTTP_PORT: String(port), CLICKHOUSE_DATA_DIR: dataDir });
  await clickhouse.ready();
};
const stopClickHouse = (signal: NodeJS.Signals) => clickhouse.kill(signal);

let next = 0;
const produceNew = async (count: number) => {
  const outcomes = Array.from({ length: count }, () => {
    const at = next++;
    return outcomeOf({ partition: at % PARTITIONS, offset: Math.floor(at / PARTITIONS) });
  });
  for (const { message_id } of outcomes) expected.add(message_id);
  await world.produce(outcomes);
};

const startSink = async (more: Record<string, string> = {}) => {
  const sink = await spawnService('sink', {
    ...names,
    CLICKHOUSE_URL: `http://127.0.0.1:${port}`,
    TOPIC_PARTITIONS: String(PARTITIONS),
    SINK_SESSION_TIMEOUT_MS: '6000',
    ...more,
  });
  await sink.ready();
  return sink;
};

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'parley-sink-clickhouse-'));
  port = await freePort();
  await startClickHouse();
  const { kafkaBrokers, registryUrl } = stack();
  const clickhouseUrl = `http://127.0.0.1:${port}`;
  const { TOPIC_PREFIX: prefix, CLICKHOUSE_DATABASE: database } = names;
  world = await SinkWorld.create({
    kafkaBrokers,
    registryUrl,
    clickhouseUrl,
    prefix,
    database,
    partitions: PARTITIONS,
  });
}, 60_000);

afterAll(async () => {
  await stopServices();
  await world.close();
  await stopClickHouse('SIGKILL');
  await rm(dataDir, { recursive: true, force: true });
});

describe('the sink without ClickHouse', () => {
  it('holds a bounded number of bytes while it is away and delivers all when it is back', async () => {
    const limits = { SINK_BUFFER_BYTES: '200000', SINK_TOTAL_BUFFER_BYTES: '300000', SINK_BLOCK_ROWS: '500' };
    const sink = await startSink(limits);
    await produceNew(500);
    await world.caughtUp();
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL', 'SIGKILL'] as const) {
      const producing = produceNew(6_000);
      await stopClickHouse(signal);
      await producing;
      const buffered = await eventually(async () => {
        const text = await (await fetch(`${sink.adminUrl}/metrics`)).text();
        const metric = (name: string) => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]);
        expect(text).toMatch(/parley_sink_retries_total\{[^}]*\} [1-9]/);
        return metric('parley_sink_buffered_bytes');
      });
      // The limit, and the one fetch of at most 1 MiB that a partition can have under way when it is paused; 300 bytes a
      // record for its object count as well, and on the wire no record of these is smaller than that.
      expect(buffered).toBeLessThan(300_000 + PARTITIONS * (2 << 20));
      expect((await fetch(`${sink.adminUrl}/readyz`)).status).toBe(503);
      await startClickHouse();
      await world.caughtUp();
      await expectExactlyOnce(world.clickhouse, expected);
    }
    await sink.kill();
  }, 180_000);

  it('completes a half-done block even when the offsets were reset meanwhile', async () => {
    // One block a partition, of which the sums never arrive: what an insert that dies half-way leaves.
    const sink = await startSink({ SINK_MIN_AGE_MS: '3000', SINK_MAX_AGE_MS: '3000' });
    await world.clickhouse.command('DETACH TABLE ingest_to_rollup_sums');
    await produceNew(400);
    await eventually(async () => expect(await world.count('messages FINAL')).toBe(expected.size));
    await sink.kill('SIGKILL');
    await world.clickhouse.command('ATTACH TABLE ingest_to_rollup_sums');
    await expect(expectExactlyOnce(world.clickhouse, expected)).rejects.toThrow(/rollup mismatches/);
    await eventually(() => world.resetToEarliest(PARTITIONS));
    const heir = await startSink();
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    await produceNew(100);
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    await heir.kill();
  }, 120_000);
});
