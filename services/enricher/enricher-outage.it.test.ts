import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ChatEvent, ChatOutcome } from '../core/records.ts';
import { eventually } from '../core/testing/eventually.ts';
import { stack, stopServices } from '../local/testing/stack.ts';
import { createKafka, type Kafka } from '../platform/kafka/kafkajs/kafka.ts';
import { outcomeHeaders } from '../platform/record-headers.ts';
import { sampleEvent } from '../platform/testing/sample-event.ts';
import { parleyAnswer, REJECTION } from '../platform/testing/scripted-nlp.ts';
import { testLog } from '../platform/testing/topic-log.ts';
import { loadLocalModel } from './fallback/local-model.ts';
import { degraded, enriched, provisional } from './outcomes.ts';
import { answersOf, closeBenches, outcomesOf, PARTITIONS, produce } from './testing/bench.ts';
import { metricOf, OutageWorld, type TestedEnricher } from './testing/outage-world.ts';

/** The outage behaviour with the real sink and ClickHouse behind it; only the NLP API follows a script. */
let kafka: Kafka;
const worlds: OutageWorld[] = [];

async function world(name: string): Promise<OutageWorld> {
  const made = await OutageWorld.create(kafka, name);
  worlds.push(made);
  return made;
}

/** No rebalance because a busy machine held the process up: where nothing is killed. */
const STEADY = { GROUP_SESSION_TIMEOUT_MS: '30000' };
/** No outage for that reason either: where the API always answers. */
const WELL = { ...STEADY, NLP_TIMEOUT_MS: '50000', NLP_HALF_OPEN_AFTER_MS: '60000' };
/** Kills, with the session time-out after each, on a machine that others use as well. */
const LONG_MS = 120_000;

/** So many messages, `<prefix>0` and on, over all partitions. */
async function send({ at, ids }: OutageWorld, prefix: string, count: number, event: Partial<ChatEvent> = {}) {
  const sent = Array.from({ length: count }, (_, n) => {
    ids.add(`${prefix}${n}`);
    return produce(at, n % PARTITIONS, { ...event, message_id: `${prefix}${n}`, text: `text of ${prefix}${n}` });
  });
  await Promise.all(sent);
}

/** Final outcomes, one a source: what a crash or a rebalance repeated is the sink's to drop. */
async function finalsOf({ at }: OutageWorld): Promise<ChatOutcome[]> {
  const outcomes = await outcomesOf(at);
  return [...new Map(outcomes.map((each) => [JSON.stringify(each.source), each] as const).reverse()).values()];
}

const countBy = (outcomes: readonly { outcome: string }[]) => {
  const counts: Record<string, number> = {};
  for (const { outcome } of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
};

/** How often a record could not be finished, the broker refusing what was to be said of it. */
const failedOnes = ({ service }: TestedEnricher) => service.logs().split('a record failed').length - 1;

beforeAll(() => {
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'outage-test', log: testLog() });
});

afterAll(async () => {
  await stopServices();
  await Promise.all(worlds.map((each) => each.close()));
  await closeBenches();
});

describe('an NLP API that is down', () => {
  it(
    'every message is degraded, then enriched, whatever is killed between its two records',
    async () => {
      const made = await world('outage_degrade');
      const { at } = made;
      let enricher = await made.enricher();
      await send(made, 'before', 20);
      await eventually(async () => expect((await finalsOf(made)).length).toBeGreaterThanOrEqual(20));

      at.nlp.answer = () => ({ status: 503 });
      await send(made, 'down', 400);
      const ofThose = async (prefix: string) =>
        (await finalsOf(made)).filter(({ message_id }) => message_id.startsWith(prefix));
      await eventually(async () => expect(countBy(await ofThose('down'))).toEqual({ degraded: 400 }));
      await eventually(() => expect(at.replay.records.length).toBeGreaterThanOrEqual(400));
      expect(at.dlq.records).toEqual([]);
      const [first] = await ofThose('down');
      expect(first).toMatchObject({ revision: 0, reason: 'nlp_unavailable', insight: { model: 'parley-fallback/1' } });

      // Killed between the replay record's ack and the degraded outcome's.
      await made.refuseWrites(at.topics.enriched, true);
      await send(made, 'torn', 50);
      await eventually(() => expect(at.replay.records.length).toBeGreaterThanOrEqual(450));
      await eventually(() => expect(failedOnes(enricher)).toBeGreaterThanOrEqual(50));
      await enricher.service.kill('SIGKILL');
      expect(await ofThose('torn')).toEqual([]);
      await made.refuseWrites(at.topics.enriched, false);

      // Killed before the replay record's ack: nothing may have been said of the message yet.
      await made.refuseWrites(at.topics.replay, true);
      enricher = await made.enricher();
      await eventually(() => expect(failedOnes(enricher)).toBeGreaterThanOrEqual(50));
      await enricher.service.kill('SIGKILL');
      expect(await ofThose('torn')).toEqual([]);
      await made.refuseWrites(at.topics.replay, false);

      at.nlp.answer = parleyAnswer;
      enricher = await made.enricher();
      await send(made, 'after', 50);
      const report = await made.expectExact();
      const rows = await made.rows();
      expect(countBy(rows)).toEqual({ enriched: 520 });
      expect(rows.filter(({ revision }) => revision === 1).length).toBeGreaterThanOrEqual(400);
      expect(report.topics['chat.replay']).toMatchObject({ dead_lettered: 0, degraded: 0 });
      expect(at.dlq.records).toEqual([]);
      await enricher.service.kill('SIGTERM');
    },
    LONG_MS,
  );
});

describe('a message that the API answers late', () => {
  it('gets a provisional outcome at the edge of its budget, which the sink ignores, and its own later', async () => {
    const made = await world('outage_provisional');
    const { at } = made;
    const held: (() => void)[] = [];
    const enricher = await made.enricher({ ...WELL, NLP_PROVISIONAL_MARGIN_MS: '5000' });
    await send(made, 'quick', 20, { deadline_at: Date.now() + 50_000 });
    await eventually(async () => expect(await finalsOf(made)).toHaveLength(20));
    at.nlp.answer = (request) => new Promise((resolve) => held.push(() => resolve(parleyAnswer(request))));
    // Neither a message whose budget was over before, nor a replay: these are held as well, and due no later.
    const deadline_at = Date.now() + 6_000;
    await send(made, 'old', 4, { deadline_at: Date.now() - 1_000 });
    const [origin] = (await finalsOf(made))
      .filter(({ message_id }) => message_id === 'quick0')
      .map((each) => each.source);
    if (!origin) throw new Error('no outcome of quick0');
    const replayed = sampleEvent({ message_id: 'quick0', deadline_at, origin, supersedes: 0, replay_attempt: 1 });
    const value = at.codec.encodeEvent(replayed);
    await at.producer.send({ topic: at.topics.replay, partition: origin.partition, key: 'k', value });
    await send(made, 'late', 20, { deadline_at });
    const early = async () => (await answersOf(at)).filter((answer) => answer.provisional);
    await eventually(async () => expect((await early()).length).toBeGreaterThanOrEqual(20));
    const names = async () => (await early()).map(({ message_id }) => message_id).sort();
    const expected = Array.from({ length: 20 }, (_, n) => `late${n}`).sort();
    expect(await names()).toEqual(expected);
    expect((await early())[0]).toMatchObject({
      outcome: 'degraded',
      revision: 0,
      insight: { model: 'parley-fallback/1' },
    });
    await eventually(() => expect(held).toHaveLength(25));
    at.nlp.answer = parleyAnswer;
    for (const release of held.splice(0)) release();
    await made.expectExact();
    expect(await names()).toEqual(expected);
    const marks = at.enriched.records.map(({ headers }) => headers['parley-outcome']?.toString());
    expect(marks.filter((mark) => mark === 'provisional')).toHaveLength(20);
    const answers = await answersOf(at);
    for (const id of expected) {
      expect(answers.filter(({ message_id }) => message_id === id).map((answer) => answer.provisional)).toEqual([
        true,
        false,
      ]);
    }
    expect(countBy(await made.rows())).toEqual({ enriched: 44 });
    expect(await metricOf(enricher, 'parley_provisional_outcomes_total', 'result="sent"')).toBe(20);
    expect(await metricOf(enricher, 'parley_first_answer_seconds_count')).toBe(44);
    await enricher.service.kill('SIGTERM');
  });

  it('the sink takes revisions in either order, and nothing from a provisional outcome', async () => {
    const made = await world('outage_order');
    const { at } = made;
    const insight = {
      ...(await loadLocalModel())('Thank you, great!'),
      model: 'test',
    };
    const told = { attempts: 1, enrichedAt: sampleEvent().received_at as never, insight };
    const place = (topic: string, offset: number) => ({
      topic_id: (topic === at.topics.replay ? 'R' : 'E').repeat(22) as never,
      topic,
      partition: 1,
      offset,
    });
    const put = (outcome: ChatOutcome) =>
      at.producer.send({
        topic: at.topics.enriched,
        partition: 1,
        key: 'k',
        value: at.codec.encodeOutcome(outcome),
        headers: outcomeHeaders(outcome),
      });
    /** The early answer, the late revision and the degraded one of a message, as a crash may have turned them round. */
    const outcomes = (id: string, offset: number) => {
      const event = sampleEvent({ message_id: id });
      const source = place(at.topics.events, offset);
      const replayed = { ...event, origin: source, supersedes: 0, replay_attempt: 1 };
      const late = { ...told, nlpMs: 5, cacheHit: false };
      made.ids.add(id);
      return [
        provisional(source, event, told),
        enriched(place(at.topics.replay, offset), replayed, late, told.enrichedAt),
        degraded(source, event, told),
      ];
    };
    // One after the other into a block, and with a block between them.
    for (const outcome of outcomes('together', 0)) await put(outcome);
    const [early, late, last] = outcomes('apart', 1) as [ChatOutcome, ChatOutcome, ChatOutcome];
    await put(early);
    await put(late);
    const receipts = async () => {
      const rows = await made.clickhouse.query<{ topic: string; offset: number; outcome: string }>(
        'SELECT topic, offset, outcome FROM receipts ORDER BY topic, offset',
      );
      return rows.map(({ topic, offset, outcome }) => `${topic.split('.').at(-1)}/${offset} ${outcome}`);
    };
    await eventually(async () => expect(await receipts()).toContain('replay/1 enriched'));
    await put(last);
    await eventually(async () =>
      expect(await receipts()).toEqual([
        'events/0 duplicate',
        'events/1 duplicate',
        'replay/0 enriched',
        'replay/1 enriched',
      ]),
    );
    expect(countBy(await made.rows())).toEqual({ enriched: 2 });
  });
});

describe('a message that the API fails again and again', () => {
  it('is parked after its third replay, and its row stays as it is', async () => {
    const made = await world('outage_parked');
    const { at } = made;
    at.nlp.answer = () => ({ status: 503 });
    const enricher = await made.enricher({
      ...STEADY,
      NLP_BREAKER_WINDOW_MS: '10000',
      NLP_BACKOFF_CAP_MS: '400',
      NLP_MAX_RETRIES: '6',
    });
    // Many first: a message whose retries end before the breaker can tell an outage is given up for its own sake.
    await send(made, 'fine', 59);
    await send(made, 'doomed', 1);
    await eventually(async () => expect(countBy(await finalsOf(made))).toEqual({ degraded: 60 }));
    at.nlp.answer = (request) => (request.json.id === 'doomed0' ? { status: 500 } : parleyAnswer(request));
    const letters = () => at.dlq.records.map(({ headers }) => headers['dlq-reason']?.toString());
    for (let replays = 1; replays <= 3; replays++) {
      await eventually(async () => {
        // Traffic that the API answers: without it nothing tells a bad text from a bad time.
        await send(made, `live${replays}-${made.ids.size}-`, 4);
        expect(letters()).toHaveLength(replays);
      });
      await made.expectExact();
      const [row] = (await made.rows()).filter(({ message_id }) => message_id === 'doomed0');
      expect(row).toMatchObject({ outcome: 'degraded', revision: 0, reason: 'nlp_unavailable' });
      // What `parley replay` does with a dead letter.
      const letter = at.dlq.records.at(-1);
      const failed = await at.codec.decodeEvent(letter?.value ?? null);
      if (!letter || !failed.ok) throw new Error('the dead letter holds no event');
      expect(failed.value).toMatchObject({ replay_attempt: replays, supersedes: replays - 1 });
      const again = { ...failed.value, supersedes: replays, replay_attempt: replays + 1 };
      const { partition, key } = letter;
      if (replays < 3)
        await at.producer.send({ topic: at.topics.replay, partition, key, value: at.codec.encodeEvent(again) });
    }
    expect(letters()).toEqual(['nlp_exhausted', 'nlp_exhausted', 'replay_exhausted']);
    const plan = await made.parley<object>('replay', '--reason', 'replay_exhausted');
    expect(plan).toMatchObject({ executed: false, replay: 0, skipped: { replay_exhausted: 1 } });
    await enricher.service.kill('SIGTERM');
  });
});

describe('an NLP API that rejects everything', () => {
  it('trips the storm guard: failures wait, poison does not; probes or an operator release them', async () => {
    const made = await world('outage_storm');
    const { at } = made;
    const enricher = await made.enricher({ ...WELL, STORM_PROBE_MS: '300' });
    const reject = () => {
      at.nlp.answer = () => REJECTION;
    };
    const state = async () => ((await (await fetch(`${enricher.adminUrl}/storm`)).json()) as { state: string }).state;
    const letters = (reason: string) =>
      at.dlq.records.filter(({ headers }) => headers['dlq-reason']?.toString() === reason).length;

    // Poison alone never trips it, and it is dead-lettered in a storm as ever.
    const poison = (count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, n) =>
          at.producer.send({
            topic: at.topics.events,
            partition: n % PARTITIONS,
            key: 'k',
            value: Buffer.from('poison'),
          }),
        ),
      );
    await poison(250);
    await eventually(() => expect(letters('undecodable')).toBe(250));
    expect(await state()).toBe('calm');

    reject();
    await send(made, 'storm', 260);
    await eventually(async () => expect(await metricOf(enricher, 'parley_storm_guard_held')).toBe(61));
    expect([letters('nlp_rejected'), await metricOf(enricher, 'parley_storm_guard_tripped')]).toEqual([199, 1]);
    await poison(10);
    await eventually(() => expect(letters('undecodable')).toBe(260));

    // An operator who knows that the API is right.
    expect(
      (await fetch(`${enricher.adminUrl}/storm/release`, { method: 'POST', headers: { origin: 'http://evil' } }))
        .status,
    ).toBe(403);
    expect(await state()).toBe('storm');
    const answer = await made.parley<{ released: number }>('dlq', 'release', '--for', '0s');
    const { released } = answer;
    expect(answer).toMatchObject({ ok: true, enrichers: [{ was: 'storm', released, error: null }] });
    // One of the 61 may be on its way to the API just then, as a probe.
    expect([60, 61]).toContain(released);
    await eventually(() => expect(letters('nlp_rejected')).toBe(260));
    expect(await state()).toBe('calm');

    // An API that is mended: three probes in a row pass, and what waited is not dead-lettered at all.
    await send(made, 'more', 200);
    const held = await eventually(async () => {
      const waiting = await metricOf(enricher, 'parley_storm_guard_held');
      expect(letters('nlp_rejected') + waiting).toBe(460);
      expect(waiting).toBeGreaterThan(0);
      return waiting;
    });
    at.nlp.answer = parleyAnswer;
    await eventually(async () =>
      expect(countBy(await finalsOf(made))).toEqual({ dead_lettered: 260 + 460 - held, enriched: held }),
    );
    expect([await state(), letters('nlp_rejected')]).toEqual(['calm', 460 - held]);
    await enricher.service.kill('SIGTERM');
  }, 120_000);

  it('dead-letters no more after a restart, and releases equal texts though the cache would answer them', async () => {
    const made = await world('outage_storm_restart');
    const { at } = made;
    const env = { ...WELL, STORM_PROBE_MS: '300', NLP_CACHE_BYTES: '1000000' };
    at.nlp.answer = () => REJECTION;
    const total = 260;
    await Promise.all(
      Array.from({ length: total }, (_, n) => {
        made.ids.add(`same${n}`);
        return produce(at, n % PARTITIONS, { message_id: `same${n}`, text: 'the same for all' });
      }),
    );
    let enricher = await made.enricher(env);
    const allJudged = () =>
      eventually(async () => {
        const held = await metricOf(enricher, 'parley_storm_guard_held');
        expect(at.dlq.records.length + held).toBeGreaterThanOrEqual(total);
      });
    await allJudged();
    // Within the minute that the guard looks back; more restarts are the unit test's.
    await enricher.service.kill('SIGTERM');
    enricher = await made.enricher(env);
    await allJudged();
    // An enricher judges by five records of its own: up to four of them are dead-lettered after a start.
    expect(at.dlq.records.length).toBeLessThanOrEqual(199 + 4);
    at.nlp.answer = parleyAnswer;
    await eventually(async () => expect(await metricOf(enricher, 'parley_storm_guard_tripped')).toBe(0));
    await made.expectExact();
    const letters = at.dlq.records.length;
    expect(countBy(await made.rows())).toEqual({ dead_lettered: letters, enriched: total - letters });
    await enricher.service.kill('SIGTERM');
  }, 180_000);
});
