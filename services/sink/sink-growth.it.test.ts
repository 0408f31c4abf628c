import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { expectExactlyOnce } from '../verify/exactly-once.ts';
import { outcomeOf, REPLAY_ID } from './testing/outcomes.ts';
import { SinkWorld } from './testing/world.ts';

const SOURCES = 6;
const names = isolation('sink growth');
const env = { ...names, TOPIC_PARTITIONS: String(SOURCES), SINK_SESSION_TIMEOUT_MS: '6000', SINK_MIN_AGE_MS: '50' };
const expected = new Set<string>();
const nextOffset = new Array<number>(SOURCES).fill(0);
/** Produces as an enricher of before the growth does, and as one of after it. */
let before: SinkWorld;
let after: SinkWorld;

const connect = () => {
  const { kafkaBrokers, registryUrl, clickhouseUrl } = stack();
  const { TOPIC_PREFIX: prefix, CLICKHOUSE_DATABASE: database } = names;
  const counts = { partitions: SOURCES, enrichedPartitions: 2 };
  return SinkWorld.create({ kafkaBrokers, registryUrl, clickhouseUrl, prefix, database, ...counts });
};

const takeOffset = (partition: number): number => {
  const offset = nextOffset[partition] ?? 0;
  nextOffset[partition] = offset + 1;
  return offset;
};

const newOutcomes = (count: number, more: Partial<Parameters<typeof outcomeOf>[0]> = {}) =>
  Array.from({ length: count }, (_, index) => {
    const partition = index % SOURCES;
    const outcome = outcomeOf({ partition, offset: takeOffset(partition), ...more });
    expected.add(outcome.message_id);
    return outcome;
  });

const startSink = async (): Promise<ServiceHandle> => {
  const sink = await spawnService('sink', env);
  await sink.ready();
  return sink;
};

const passedOn = async (sinks: readonly ServiceHandle[]) => {
  const texts = await Promise.all(sinks.map(async ({ adminUrl }) => (await fetch(`${adminUrl}/metrics`)).text()));
  return texts.reduce((sum, text) => sum + Number(/^parley_sink_passed_on_total\{[^}]*\} (\d+)/m.exec(text)?.[1]), 0);
};

beforeAll(async () => {
  before = await connect();
}, 60_000);

afterAll(async () => {
  await stopServices();
  await Promise.all([before.close(), after?.close()]);
});

describe('a chat.enriched that grows', () => {
  it('is counted once, whatever partitions a message, its repeat, its resend and its replay lie in', async () => {
    const sinks = [await startSink(), await startSink()];
    const dead = newOutcomes(60, { outcome: 'dead_lettered', reason: 'nlp_exhausted', insight: null });
    const known = newOutcomes(600);
    await before.produce([...dead, ...known]);
    await before.caughtUp();
    const unread = newOutcomes(600);
    const producing = before.produce(unread);
    await before.grow(5);
    await producing;
    // A sink that sees the growth opens its partitions anew, and goes on.
    await Promise.all(
      sinks.map((sink) => eventually(() => expect(sink.logs()).toContain('TOPIC_GREW'), { timeoutMs: 30_000 })),
    );
    after = await connect();
    after.layout = 5;
    const resent = [...known.slice(0, 60), ...unread.slice(0, 60)].map((outcome) => {
      const { partition } = outcome.source;
      const { message_id, tenant_id, bot_id, conversation_id } = outcome;
      const offset = takeOffset(partition);
      return outcomeOf({ partition, offset, message_id, tenant_id, bot_id, conversation_id, recheck: true });
    });
    const replayed = dead.map(({ source, tenant_id, bot_id, conversation_id }, offset) => {
      const key = { partition: source.partition, originOffset: source.offset, tenant_id, bot_id, conversation_id };
      return outcomeOf({ ...key, topicId: REPLAY_ID, offset, revision: 1, supersedes: 0 });
    });
    const repeated = [...known.slice(60, 120), ...unread.slice(60, 120)];
    await Promise.all([
      after.produce([...repeated, ...resent, ...replayed, ...newOutcomes(300)]),
      before.produce([...repeated, ...newOutcomes(300)]),
    ]);
    await after.caughtUp();
    await expectExactlyOnce(after.clickhouse, expected);
    expect(await after.count('receipts', "outcome = 'duplicate'")).toBe(resent.length);
    expect(await after.count('messages FINAL', "outcome = 'enriched' AND revision = 1")).toBe(dead.length);
    expect(await passedOn(sinks)).toBeGreaterThan(0);
    // None of them ended meanwhile: each drains now.
    const ends = await Promise.all(sinks.map((sink) => sink.kill()));
    expect(ends).toEqual(sinks.map(() => ({ code: 0, signal: null })));
  }, 240_000);
});
