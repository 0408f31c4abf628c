import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { epochMs } from '../core/brands.ts';
import { systemClock } from '../core/clock.ts';
import { type ErasureSubject, subjectHash, subjectHashes } from '../core/erasure.ts';
import type { ChatOutcome } from '../core/records.ts';
import { eventually } from '../core/testing/eventually.ts';
import { beginErasure } from '../erasure/erasures.ts';
import { forget } from '../erasure/forget.ts';
import { isolation, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { type ClickHouse, createClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { ErasureList } from '../platform/clickhouse/erasure-list.ts';
import { migrate } from '../platform/clickhouse/migrations.ts';
import { createLogger } from '../platform/logger.ts';
import { sampleEvent } from '../platform/testing/sample-event.ts';
import type { ReadLetter } from '../replay/dead-letters.ts';
import { readLetterStates } from '../replay/letter-states.ts';
import { expectExactlyOnce } from '../verify/exactly-once.ts';
import type { BlockId } from './ingest-row.ts';
import { BlockInserts, blockOf, entriesOf, VIEWS } from './testing/block-inserts.ts';
import { type OutcomeOf, outcomeOf, REPLAY_ID } from './testing/outcomes.ts';
import { SinkWorld } from './testing/world.ts';

const log = createLogger('test', 'silent');
/** Lives that the model test draws; more by hand now and then. */
const RUNS = Number(process.env['ERASURE_RUNS'] ?? 4);
const CLI = join(import.meta.dirname, '../cli/main.ts');
/** Stands in everything that the erased user said. */
const SECRET = 'Zaphod';
const names = isolation('erasure');
let clickhouse: ClickHouse;
let blocks: BlockInserts;

beforeAll(async () => {
  clickhouse = createClickHouse({
    url: stack().clickhouseUrl,
    database: isolation('erasure_blocks').CLICKHOUSE_DATABASE,
    log,
  });
  await migrate(clickhouse, { log });
  blocks = new BlockInserts(clickhouse);
});

afterAll(async () => {
  await stopServices();
  await clickhouse.command(`DROP DATABASE IF EXISTS ${clickhouse.database}`);
  await clickhouse.close();
});

const insightOf = (topics: string[]) => {
  const { insight } = outcomeOf({ partition: 0, offset: 0 });
  return insight && { ...insight, topics };
};
/** What the erased user says. */
const secretOf = (given: OutcomeOf): ChatOutcome =>
  outcomeOf({
    text: `I am ${SECRET} ${given.offset}`,
    user_id: `${SECRET}-17`,
    metadata: new Map([['name', SECRET]]),
    ...(given.outcome !== 'dead_lettered' && { insight: insightOf([SECRET]) }),
    ...given,
  });

const erase = (client: ClickHouse, subject: ErasureSubject) =>
  forget({
    clickhouse: client,
    subject,
    clock: systemClock,
    signal: new AbortController().signal,
    progress: () => {},
    pollMs: 20,
  });

/** By table, rows in which the word stands, whatever the column. */
async function tablesWith(client: ClickHouse, word: string): Promise<Record<string, number>> {
  const tables = await client.query<{ name: string }>(
    "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'",
  );
  const found: Record<string, number> = {};
  for (const { name } of tables) {
    const [row] = await client.query<{ n: number }>(
      `SELECT count() AS n FROM ${name} WHERE position(formatRowNoNewline('JSONEachRow', *), '${word}') > 0`,
    );
    if (Number(row?.n) > 0) found[name] = Number(row?.n);
  }
  return found;
}

describe('an erasure in ClickHouse', () => {
  it('takes exactly what falls under its subject, by the hashes that the engine computes too', async () => {
    const at = { partition: 0, tenant_id: 'ténant', bot_id: 'b', conversation_id: 'Grüße 😀' };
    const outcomes = [
      outcomeOf({ ...at, offset: 0, user_id: 'anna' }),
      outcomeOf({ ...at, offset: 1, user_id: 'anna', conversation_id: 'other' }),
      outcomeOf({ ...at, offset: 2, user_id: 'ben', bot_id: 'b2' }),
      outcomeOf({ ...at, offset: 3, user_id: 'anna', tenant_id: 'another' }),
      outcomeOf({ ...at, offset: 4 }),
    ];
    const kept = async () =>
      (
        await clickhouse.query<{ n: number }>("SELECT origin_offset AS n FROM messages WHERE text != '' ORDER BY n")
      ).map(({ n }) => Number(n));
    await blocks.insert(blockOf(0, 5), entriesOf(outcomes), false);
    expect(await kept()).toEqual([0, 1, 2, 3, 4]);
    const tenant = 'ténant';
    expect(await erase(clickhouse, { scope: 'user', tenant, user: 'nobody' })).toMatchObject({
      found: { rows: 0 },
      outcome: 'done',
    });
    const first = await erase(clickhouse, { scope: 'user', tenant, user: 'anna' });
    expect(first).toMatchObject({
      found: { rows: 2, messages: 2, conversations: 2 },
      left: { rows: 0 },
      outcome: 'done',
    });
    expect(await kept()).toEqual([2, 3, 4]);
    expect(await erase(clickhouse, { scope: 'bot', tenant, bot: 'b2' })).toMatchObject({ found: { rows: 1 } });
    await erase(clickhouse, { scope: 'conversation', tenant, bot: 'b', conversation: 'Grüße 😀' });
    expect(await kept()).toEqual([3]);
    // What comes later under the same subjects stores no words; what is said after the erasure's end does.
    const again = outcomes.map((outcome, index) => ({
      ...outcome,
      message_id: `again-${index}`,
      ...placeAt(index + 5),
    }));
    const afterwards = { sent_at: Date.now() + 400_000, received_at: Date.now() + 400_000, enriched_at: Date.now() };
    const later = again.map((outcome, index) => ({
      ...outcome,
      ...afterwards,
      message_id: `later-${index}`,
      ...placeAt(index + 10),
    }));
    await blocks.insert(blockOf(5, 15), entriesOf([...again, ...later], 5), false);
    expect(await kept()).toEqual([3, 8, 10, 11, 12, 13, 14]);
    await expectExactlyOnce(
      clickhouse,
      [...outcomes, ...again, ...later].map(({ message_id }) => message_id),
    );
    expect(
      await clickhouse.query('SELECT scope, blanked, outcome FROM erasures WHERE version = 2 ORDER BY started_at'),
    ).toEqual([
      { scope: 'user', blanked: 0, outcome: 'done' },
      { scope: 'user', blanked: 2, outcome: 'done' },
      { scope: 'bot', blanked: 1, outcome: 'done' },
      { scope: 'conversation', blanked: 1, outcome: 'done' },
    ]);
    expect(await tablesWith(clickhouse, 'anna')).toEqual({ messages: 5 });
  });

  it('is known to a replay, which leaves its letters alone', async () => {
    const until = epochMs(Date.now());
    const event = (over: object) =>
      sampleEvent({ tenant_id: 'r', user_id: 'anna', sent_at: until - 5, received_at: until - 4, ...over });
    const subject: ErasureSubject = { scope: 'user', tenant: 'r', user: 'anna' };
    await beginErasure(clickhouse, { id: 'x', subject, until, startedAt: until });
    const events = [event({}), event({ user_id: 'ben' }), event({ sent_at: until + 1, received_at: until + 2 }), null];
    const letters = events.map((each) => ({
      letter: { failedRecord: null },
      event: each,
      problem: null,
    })) as unknown as ReadLetter[];
    const states = await readLetterStates(clickhouse, letters, {
      replayTopic: 'chat.replay',
      erasures: await ErasureList.read(clickhouse),
    });
    expect(states.map(({ isErased }) => isErased)).toEqual([true, false, false, false]);
    expect(subjectHashes(event({}))).toContain(subjectHash(subject));
  });

  type Step =
    | { readonly kind: 'answer' | 'repeat' | 'resend' | 'replay'; readonly message: number }
    | { readonly kind: 'block' | 'half' | 'recover' | 'mark' | 'forget' | 'merge'; readonly view: number };
  const message = fc.nat(3);
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constantFrom('answer' as const, 'repeat' as const, 'resend' as const, 'replay' as const),
        message,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('block' as const, 'half' as const, 'recover' as const),
        view: fc.nat(VIEWS.length - 1),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom('mark' as const, 'forget' as const, 'merge' as const),
        view: fc.constant(0),
      }),
    },
  );

  it(
    'holds and counts nothing twice, however answers, repeats, resends, replays, half-done blocks and their recovery come',
    async () => {
      let run = 0;
      const ids: string[] = [];
      const property = fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 14 }), async (steps) => {
        const life = new Life(run++);
        for (const each of steps) await life.take(each);
        await life.end();
        ids.push(...life.ids);
      });
      await clickhouse.command('TRUNCATE TABLE erasures');
      for (const table of [
        'messages',
        'receipts',
        'message_keys',
        'decisions',
        'rollup_sums',
        'rollup_conversations',
      ]) {
        await clickhouse.command(`TRUNCATE TABLE ${table}`);
      }
      await fc.assert(property, { numRuns: RUNS, endOnFailure: true });
      expect(await tablesWith(clickhouse, SECRET)).toEqual({});
      await expectExactlyOnce(clickhouse, ids);
    },
    60_000 + RUNS * 2_000,
  );

  /** Four messages, two of them the user's, in one partition of a sink; every outcome that comes stands in its log. */
  class Life {
    readonly ids: string[] = [];
    readonly #partition: number;
    readonly #subject: ErasureSubject;
    readonly #revisions = new Map<number, number>();
    #sources = 0;
    #replays = 0;
    #pending: ChatOutcome[] = [];
    #next = 0;
    #half: { readonly block: BlockId; readonly outcomes: readonly ChatOutcome[] } | undefined;
    #last: { readonly block: BlockId; readonly outcomes: readonly ChatOutcome[] } | undefined;
    /** Rows with words when the erasure began to hold. */
    #bound = Number.POSITIVE_INFINITY;

    constructor(partition: number) {
      this.#partition = partition;
      this.#subject = { scope: 'user', tenant: `t${partition}`, user: `${SECRET}-17` };
    }

    async take(step: Step): Promise<void> {
      if ('message' in step) return this.#say(step.kind, step.message);
      if (step.kind === 'recover') return this.#recover();
      if (step.kind === 'block' || step.kind === 'half') {
        await this.#recover();
        return this.#cut(step.kind === 'half' ? VIEWS[step.view] : undefined);
      }
      if (step.kind === 'merge') return clickhouse.command('OPTIMIZE TABLE messages FINAL');
      const until = epochMs(Date.now() + 300_000);
      if (step.kind === 'mark')
        await beginErasure(clickhouse, { id: `${this.#partition}`, subject: this.#subject, until, startedAt: until });
      else expect((await erase(clickhouse, this.#subject)).outcome).toBe('done');
      this.#bound = Math.min(this.#bound, await this.#words());
      await this.#check();
    }

    async end(): Promise<void> {
      await this.#recover();
      await this.#cut(undefined);
      if (this.#last)
        await blocks.insert(this.#last.block, entriesOf(this.#last.outcomes, this.#last.block.from), true);
      await this.#check();
      expect((await erase(clickhouse, this.#subject)).outcome).toBe('done');
      const [row] = await clickhouse.query<{ blank: number; whole: number }>(
        `SELECT countIf(text = '') AS blank, countIf(text != '') AS whole FROM messages FINAL WHERE tenant_id = 't${this.#partition}'`,
      );
      const user = [...this.#revisions.keys()].filter((each) => each < 2).length;
      expect([Number(row?.blank), Number(row?.whole)]).toEqual([user, this.#revisions.size - user]);
    }

    #say(kind: 'answer' | 'repeat' | 'resend' | 'replay', message: number): void {
      const known = this.#revisions.get(message);
      if (kind === 'answer' ? known !== undefined : known === undefined) return;
      const key = {
        message_id: `${this.#partition}-${message}`,
        tenant_id: `t${this.#partition}`,
        bot_id: 'b',
        conversation_id: 'c',
      };
      const say = (given: OutcomeOf) => this.#pending.push((message < 2 ? secretOf : outcomeOf)({ ...key, ...given }));
      const at = { partition: this.#partition, originOffset: message };
      if (kind === 'answer') {
        this.ids.push(key.message_id);
        this.#revisions.set(message, 0);
        say({ ...at, offset: message, ...(message % 2 === 0 && { outcome: 'dead_lettered', insight: null }) });
      } else if (kind === 'repeat') say({ ...at, offset: message });
      else if (kind === 'resend') say({ ...at, offset: 10 + this.#sources++, recheck: true });
      else {
        const revision = (known ?? 0) + 1;
        this.#revisions.set(message, revision);
        say({ ...at, offset: this.#replays++, topicId: REPLAY_ID, revision, supersedes: revision - 1 });
      }
    }

    async #cut(without: string | undefined): Promise<void> {
      if (this.#pending.length === 0) return;
      const outcomes = this.#pending;
      const block = blockOf(this.#next, this.#next + outcomes.length, this.#partition);
      const entries = entriesOf(outcomes, block.from);
      this.#pending = [];
      this.#next = block.to;
      this.#last = { block, outcomes };
      if (without === undefined) await blocks.insert(block, entries, false);
      else {
        this.#half = { block, outcomes };
        await blocks.insertWithout([without], block, entries);
      }
      await this.#check();
    }

    async #recover(): Promise<void> {
      if (!this.#half) return;
      const { block, outcomes } = this.#half;
      this.#half = undefined;
      await blocks.insert(block, entriesOf(outcomes, block.from), true);
      await this.#check();
    }

    async #words(): Promise<number> {
      const [row] = await clickhouse.query<{ n: number }>(
        `SELECT count() AS n FROM messages WHERE tenant_id = 't${this.#partition}' AND position(formatRowNoNewline('JSONEachRow', *), '${SECRET}') > 0`,
      );
      return Number(row?.n);
    }

    /** No step brings words back. */
    async #check(): Promise<void> {
      if (this.#bound < Number.POSITIVE_INFINITY) expect(await this.#words()).toBeLessThanOrEqual(this.#bound);
    }
  }
});

/** The command as a process of its own, so that it can be killed. */
function parley(...args: string[]) {
  const { kafkaBrokers, clickhouseUrl } = stack();
  const env = { ...process.env, ...names, KAFKA_BROKERS: kafkaBrokers, CLICKHOUSE_URL: clickhouseUrl };
  let kill = () => {};
  const ended = new Promise<{ code: number | null; document: unknown; said: string }>((resolve) => {
    const child = execFile(process.execPath, [CLI, ...args, '--json'], { env }, (_, out, err) =>
      resolve({ code: child.exitCode, document: out === '' ? null : JSON.parse(out), said: out + err }),
    );
    kill = () => child.kill('SIGKILL');
  });
  return { kill, ended };
}

const placeAt = (offset: number) => {
  const { source, origin } = outcomeOf({ partition: 0, offset });
  return { source, origin };
};

describe('parley forget, while messages stream in and the sink and the command itself are killed', () => {
  it('leaves no word of the user in any table, and every count as it is', async () => {
    const { kafkaBrokers, registryUrl, clickhouseUrl } = stack();
    const { TOPIC_PREFIX: prefix, CLICKHOUSE_DATABASE: database } = names;
    const world = await SinkWorld.create({ kafkaBrokers, registryUrl, clickhouseUrl, prefix, database, partitions: 2 });
    try {
      const quick = { TOPIC_PARTITIONS: '2', SINK_MIN_AGE_MS: '100', SINK_SESSION_TIMEOUT_MS: '6000' };
      let sink = await spawnService('sink', { ...names, ...quick });
      await sink.ready();
      const produced: ChatOutcome[] = [];
      const user = { tenant_id: 't1', bot_id: 'b', conversation_id: 'c' };
      const say = async (count: number) => {
        const outcomes = Array.from({ length: count }, (_, index) => {
          const n = produced.length + index;
          const given = {
            partition: n % 2,
            offset: Math.floor(n / 2),
            ...(n % 10 === 0 && { outcome: 'dead_lettered', insight: null }),
          };
          return n % 3 === 0 ? secretOf({ ...given, ...user }) : outcomeOf(given);
        });
        produced.push(...outcomes);
        await world.produce(outcomes);
      };
      let isStreaming = true;
      const streaming = (async () => {
        while (isStreaming) {
          await say(30);
          await delay(100);
        }
      })();
      await eventually(async () =>
        expect(await world.count('messages', `text LIKE '%${SECRET}%'`)).toBeGreaterThan(20),
      );
      const args = ['forget', '--tenant', 't1', '--user', `${SECRET}-17`];
      const plan = await parley(...args, '--dry-run').ended;
      expect(plan).toMatchObject({ code: 0, document: { executed: false, found: { conversations: 1 } } });
      expect(await world.count('erasures')).toBe(0);
      const killed = parley(...args, '--yes');
      await eventually(async () => expect(await world.count('erasures')).toBeGreaterThan(0));
      killed.kill();
      await killed.ended;
      const done = await parley(...args, '--yes').ended;
      expect(done).toMatchObject({
        code: 0,
        document: {
          executed: true,
          outcome: 'done',
          left_rows: 0,
          kafka: expect.arrayContaining([
            expect.objectContaining({ topic: world.topics.dlq, retention_ms: 30 * 86_400_000 }),
          ]),
        },
      });
      expect(done.said).not.toContain(SECRET);
      // The sink that was running all along stores what is still being said; another takes over in the middle of a block.
      const before = await world.count('messages');
      await eventually(async () => expect(await world.count('messages')).toBeGreaterThan(before + 30));
      await sink.kill('SIGKILL');
      sink = await spawnService('sink', { ...names, ...quick });
      isStreaming = false;
      await streaming;
      // The user's dead letters come again by a replay, which began before the erasure, and one message is sent again.
      const dead = produced.filter((outcome) => outcome.outcome === 'dead_lettered' && outcome.user_id !== null);
      const replays = dead.map((outcome, index) => ({
        ...secretOf({
          partition: outcome.source.partition,
          offset: index,
          topicId: REPLAY_ID,
          originOffset: outcome.origin.offset,
        }),
        ...user,
        message_id: outcome.message_id,
        revision: 1,
        supersedes: 0,
      }));
      const [first] = produced;
      const resend = first && { ...first, recheck: true, source: { ...first.source, offset: 1_000_000 } };
      await world.produce([...replays, ...(resend ? [resend] : [])]);
      await world.caughtUp();
      await expectExactlyOnce(
        world.clickhouse,
        produced.map(({ message_id }) => message_id),
      );
      expect(await tablesWith(world.clickhouse, SECRET)).toEqual({});
      expect(await world.count('messages FINAL', "revision = 1 AND outcome = 'enriched' AND text = ''")).toBe(
        dead.length,
      );
      expect(await world.count('messages FINAL', "text != ''")).toBe(
        produced.filter(({ user_id }) => user_id === null).length,
      );
      await sink.kill();
    } finally {
      await world.close();
    }
  }, 120_000);
});
