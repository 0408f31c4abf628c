import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { FaultyLink } from '../platform/testing/faulty-link.ts';
import { expectExactlyOnce } from '../verify/exactly-once.ts';
import { outcomeOf } from './testing/outcomes.ts';
import { SinkWorld } from './testing/world.ts';

const PARTITIONS = 2;
const names = isolation('sink links');
const expected = new Set<string>();
let world: SinkWorld;
let clickhouse: FaultyLink;
let registry: FaultyLink;
let sink: ServiceHandle;

/** `url` with a link in the place of its host. */
const through = (url: string, link: FaultyLink) => url.replace(new URL(url).host, link.address);

let next = 0;
const produceNew = async (count: number) => {
  const outcomes = Array.from({ length: count }, () => {
    const at = next++;
    return outcomeOf({ partition: at % PARTITIONS, offset: Math.floor(at / PARTITIONS) });
  });
  for (const { message_id } of outcomes) expected.add(message_id);
  await world.produce(outcomes);
};

/** An insert as it goes over the wire: the statement is in the request line. */
const insertInto = (table: string) => {
  const statement = new RegExp(`query=INSERT[^ ]*${table}\\b`, 'i');
  return (request: Buffer) => statement.test(request.subarray(0, 8_192).toString('latin1'));
};

/** Steps of blocks that were tried again. */
const retries = async () => {
  const text = await (await fetch(`${sink.adminUrl}/metrics`)).text();
  const counts = text.matchAll(/^parley_sink_retries_total(?:\{[^}]*\})? (\S+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
};

beforeAll(async () => {
  const { kafkaBrokers, registryUrl, clickhouseUrl } = stack();
  clickhouse = await FaultyLink.start(new URL(clickhouseUrl).host);
  registry = await FaultyLink.start(new URL(registryUrl).host);
  const { TOPIC_PREFIX: prefix, CLICKHOUSE_DATABASE: database } = names;
  world = await SinkWorld.create({
    kafkaBrokers,
    registryUrl,
    clickhouseUrl,
    prefix,
    database,
    partitions: PARTITIONS,
  });
  // What the test asks of ClickHouse goes past the link.
  registry.cut();
  sink = await spawnService('sink', {
    ...names,
    CLICKHOUSE_URL: through(clickhouseUrl, clickhouse),
    SCHEMA_REGISTRY_URL: through(registryUrl, registry),
    TOPIC_PARTITIONS: String(PARTITIONS),
    SINK_CLICKHOUSE_TIMEOUT_MS: '1500',
  });
}, 60_000);

afterAll(async () => {
  await stopServices();
  await Promise.all([world.close(), clickhouse.stop(), registry.stop()]);
});

describe('a sink behind a faulty network', () => {
  it('waits at its start for a registry that is cut off', async () => {
    await produceNew(100);
    await eventually(() => expect(registry.tried).toBeGreaterThanOrEqual(3));
    registry.open();
    await sink.ready();
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
  });

  it.each([
    ['ingest', 'cut'],
    ['ingest', 'silence'],
    ['blocks', 'cut'],
  ] as const)(
    'counts nothing twice when ClickHouse did an insert into %s and the answer was lost: %s',
    async (table, then) => {
      const before = await retries();
      const lost = clickhouse.loseAnswer(insertInto(table), then);
      await produceNew(400);
      await lost;
      await world.caughtUp();
      expect(await retries()).toBeGreaterThan(before);
      await expectExactlyOnce(world.clickhouse, expected);
    },
  );

  it('waits for a ClickHouse that is silent, and takes late inserts for what they are', async () => {
    const before = await retries();
    await produceNew(200);
    clickhouse.silence();
    await produceNew(400);
    await eventually(async () => {
      expect(await retries()).toBeGreaterThan(before + 1);
      expect((await fetch(`${sink.adminUrl}/readyz`)).status).toBe(503);
    });
    // What was sent into the silence is executed now, beside what was sent again.
    clickhouse.open();
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    await eventually(async () => expect((await fetch(`${sink.adminUrl}/readyz`)).status).toBe(200));
  });

  it('stays ready and goes on without the registry, whose schemas it has', async () => {
    registry.cut();
    await produceNew(200);
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    expect(await (await fetch(`${sink.adminUrl}/readyz`)).json()).toMatchObject({
      ready: true,
      dependencies: { registry: { state: 'down', gates: false } },
    });
    registry.open();
  });

  it('takes up new partitions that came while ClickHouse was away, and does not end', async () => {
    clickhouse.cut();
    await produceNew(100);
    await world.grow(PARTITIONS + 1);
    await eventually(() => expect(sink.logs()).toContain('cannot be widened yet'), { timeoutMs: 60_000 });
    clickhouse.open();
    world.layout = PARTITIONS + 1;
    await produceNew(400);
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    expect(await sink.kill()).toEqual({ code: 0, signal: null });
  }, 120_000);
});
