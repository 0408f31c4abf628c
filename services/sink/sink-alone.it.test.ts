import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { expectExactlyOnce } from '../verify/exactly-once.ts';
import { outcomeOf } from './testing/outcomes.ts';
import { SinkWorld } from './testing/world.ts';

const SOURCES = 6;
const STANDS_BY = 'stands by: other members hold every partition';

const connect = (names: ReturnType<typeof isolation>, enrichedPartitions: number) => {
  const { kafkaBrokers, registryUrl, clickhouseUrl } = stack();
  const { TOPIC_PREFIX: prefix, CLICKHOUSE_DATABASE: database } = names;
  const counts = { partitions: SOURCES, enrichedPartitions };
  return SinkWorld.create({ kafkaBrokers, registryUrl, clickhouseUrl, prefix, database, ...counts });
};

const startSink = async (env: Record<string, string>): Promise<ServiceHandle> => {
  const sink = await spawnService('sink', { SINK_SESSION_TIMEOUT_MS: '6000', ...env });
  await sink.ready();
  return sink;
};

interface Ready {
  readonly ready: boolean;
  readonly dependencies: { readonly kafka: { readonly note?: string } };
}

const readyz = async ({ adminUrl }: ServiceHandle) => (await (await fetch(`${adminUrl}/readyz`)).json()) as Ready;
const standsBy = async (sink: ServiceHandle) => (await readyz(sink)).dependencies.kafka.note === STANDS_BY;

// A sink that a failed test leaves behind would hold the group against all others.
afterEach(stopServices);

describe('one partition of chat.enriched', () => {
  const names = isolation('sink alone');
  const expected = new Set<string>();
  let world: SinkWorld;
  let next = 0;

  const newOutcomes = (count: number) =>
    Array.from({ length: count }, () => {
      const at = next++;
      const outcome = outcomeOf({ partition: at % SOURCES, offset: Math.floor(at / SOURCES) });
      expected.add(outcome.message_id);
      return outcome;
    });

  beforeAll(async () => {
    world = await connect(names, 1);
  }, 60_000);

  afterAll(() => world.close());

  it('is read in full blocks where many records wait', async () => {
    await world.produce(newOutcomes(25_000));
    // What is fetched within the age does not hang on how fast this machine is.
    const sink = await startSink({ ...names, SINK_MIN_AGE_MS: '10000', SINK_MAX_AGE_MS: '10000' });
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    const blocks = await world.clickhouse.query<{ rows: number }>('SELECT rows FROM blocks ORDER BY seq');
    expect(blocks.map(({ rows }) => Number(rows))).toEqual([10_000, 10_000, 5_000]);
    await sink.kill();
  }, 120_000);

  it('is held by one sink: a second is ready, says that it stands by, and goes on where the first was killed', async () => {
    const env = { ...names, SINK_MIN_AGE_MS: '50', SINK_BLOCK_ROWS: '200' };
    const holder = await startSink(env);
    const other = await startSink(env);
    await eventually(async () => {
      expect(await readyz(holder)).toMatchObject({ ready: true });
      expect(await readyz(other)).toMatchObject({ ready: true, dependencies: { kafka: { note: STANDS_BY } } });
    });
    expect(await standsBy(holder)).toBe(false);
    const producing = (async () => {
      for (let batch = 0; batch < 20; batch++) await world.produce(newOutcomes(100));
    })();
    const before = await world.count('messages');
    await eventually(async () => expect(await world.count('messages')).toBeGreaterThan(before));
    await holder.kill('SIGKILL');
    await producing;
    await world.caughtUp();
    expect(await standsBy(other)).toBe(false);
    await expectExactlyOnce(world.clickhouse, expected);
    await other.kill();
  }, 120_000);

  it('may grow while two sinks run: the one that stood by gets its share, and each record is counted once', async () => {
    const sinks = [await startSink(names), await startSink(names)];
    await eventually(async () => expect(await Promise.all(sinks.map(standsBy))).toContain(true));
    const producing = world.produce(newOutcomes(600));
    await world.grow(2);
    await producing;
    await eventually(async () => expect(await Promise.all(sinks.map(standsBy))).toEqual([false, false]), {
      timeoutMs: 60_000,
    });
    // As an enricher does that has not been started anew.
    await world.produce(newOutcomes(600));
    world.layout = 2;
    await world.produce(newOutcomes(600));
    await world.caughtUp();
    await expectExactlyOnce(world.clickhouse, expected);
    const ends = await Promise.all(sinks.map((sink) => sink.kill()));
    expect(ends).toEqual(sinks.map(() => ({ code: 0, signal: null })));
  }, 180_000);
});

describe('a chat.enriched of before, with more partitions than are made today', () => {
  const names = isolation('sink of before');
  let world: SinkWorld;

  beforeAll(async () => {
    world = await connect(names, 3);
  }, 60_000);

  afterAll(() => world.close());

  it('keeps them, and no sink warns of them', async () => {
    const sink = await startSink(names);
    const outcomes = Array.from({ length: 300 }, (_, n) =>
      outcomeOf({ partition: n % SOURCES, offset: Math.floor(n / SOURCES) }),
    );
    await world.produce(outcomes);
    await world.caughtUp();
    const ids = outcomes.map(({ message_id }) => message_id);
    await expectExactlyOnce(world.clickhouse, ids);
    const blocks = await world.clickhouse.query<{ n: number }>('SELECT uniqExact(log_partition) AS n FROM blocks');
    expect(blocks).toEqual([{ n: 3 }]);
    expect((await world.logEnds()).ends.size).toBe(3);
    expect(await sink.kill()).toEqual({ code: 0, signal: null });
    expect(sink.logs()).not.toMatch(/"level":"?(40|50|60|warn|error|fatal)/);
  }, 120_000);
});
