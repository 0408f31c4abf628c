import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../core/clock.ts';
import { stack } from '../local/testing/stack.ts';
import { ClusterView } from '../platform/kafka/read/cluster-view.ts';
import { doubleFacts, doubleReceipts, receiptsWithoutFacts } from '../verify/queries/reconciliation.ts';
import { rollupMismatches } from '../verify/queries/rollup-recount.ts';
import { verifySources } from '../verify/sources.ts';
import { type VerifySources, verify } from '../verify/verify.ts';
import { describeReport } from './commands/verify.ts';
import { VerifyWorld } from './testing/verify-world.ts';

/** A whole system of 100 messages that the test damages; each damage must be found, and named with its place. */
const AT_ONCE = 'SETTINGS mutations_sync = 2';

let world: VerifyWorld;
let view: ClusterView;

const find = async () => {
  const report = await world.verifyJson();
  return { ...report, text: describeReport(report) };
};
const damage = (statement: string) => world.clickhouse.command(`${statement} ${AT_ONCE}`);

beforeAll(async () => {
  world = await VerifyWorld.create('verify_damage');
  const { kafkaBrokers } = stack();
  view = await ClusterView.connect(world.kafka, [kafkaBrokers]);
  for (const partition of [0, 1]) {
    await world.produce(world.topics.events, partition, 50);
    await world.produceOutcomes(partition, 0, 50);
  }
  await world.commit(world.groups.enricher, world.topics.events, [50, 50]);
  await world.commit(world.groups.sink, world.topics.enriched, [50, 50]);
});

afterAll(async () => {
  await view.close();
  await world.close();
});

/** The undamaged system again. */
beforeEach(async () => {
  const tables = ['messages', 'receipts', 'bot_minute_sums', 'bot_minute_conversations'];
  for (const table of [...tables, 'bot_hour_sums', 'bot_hour_conversations']) {
    await world.clickhouse.command(`TRUNCATE TABLE ${table}`);
  }
  const token = `-${Math.random()}`;
  for (const partition of [0, 1]) await world.take(partition, 0, 50, { token });
});

describe('parley verify on a damaged system', () => {
  it('finds nothing where nothing is damaged, the log included', async () => {
    expect(await world.verifyJson('--log')).toMatchObject({
      ok: true,
      violations: { double_receipts: 0, double_facts: 0, lost_facts: 0, rollup_mismatches: 0, log_mismatches: 0 },
    });
  });

  it('names the offsets whose receipts were removed', async () => {
    await damage('ALTER TABLE receipts DELETE WHERE partition = 1 AND offset IN (7, 20, 21, 22)');
    const report = await find();
    expect(report).toMatchObject({ ok: false, code: 1, topics: { 'chat.events': { missing: 4, in_flight: 0 } } });
    expect(report.by_partition.find(({ missing }) => missing > 0)).toMatchObject({
      topic: 'chat.events',
      topic_id: world.eventsId,
      partition: 1,
      missing_ranges: [
        { first: 7, last: 7 },
        { first: 20, last: 22 },
      ],
    });
    expect(report.text).toContain('Missing in chat.events partition 1: 4 (offsets 7, 20-22;');
    expect(report.text).toContain('NOT OK: 4 missing.');
    expect(await world.verifyJson('--partition', '0')).toMatchObject({ ok: true, code: 0 });
  });

  it('names the message whose row was deleted, by the record it was made of', async () => {
    await damage("ALTER TABLE messages DELETE WHERE message_id = 'm1-9'");
    const { code, violations, examples, text } = await find();
    expect(code).toBe(1);
    expect(violations).toMatchObject({ lost_facts: 1, double_facts: 0, double_receipts: 0 });
    expect(examples.lost_facts).toEqual([
      { message_id: 'm1-9', topic_id: world.eventsId, partition: 1, offset: 9, outcome: 'enriched' },
    ]);
    // The rollups still count it: by minute and hour, in the sums and the conversations.
    expect(violations.rollup_mismatches).toBe(4);
    expect(text).toMatch(/Messages with a receipt and no row: 1\n {2}\{.*"partition":1,"offset":9/);
  });

  it('names a message whose row was inserted a second time by hand, and what that did to the rollups', async () => {
    // Through the tables' own entrance, as the sink inserts, but without its token.
    await world.take(1, 8, 9, { token: 'by hand' });
    const { code, violations, examples, text } = await find();
    expect(code).toBe(1);
    expect(violations.double_receipts).toBe(1);
    expect(examples.double_receipts).toEqual([
      { topic_id: world.eventsId, partition: 1, offset: 8, copies: 2, outcomes: ['enriched', 'enriched'] },
    ]);
    expect(violations.rollup_mismatches).toBe(4);
    expect(text).toMatch(/Source records with more than one receipt: 1\n {2}\{.*"partition":1,"offset":8/);
  });

  it('names a message with two rows, and two ids for one origin', async () => {
    const copy = (change: string) =>
      world.clickhouse.command(
        `INSERT INTO messages SELECT * REPLACE (${change}) FROM messages WHERE origin_partition = 0 AND origin_offset = 9 LIMIT 1`,
      );
    // Another hour is another sort key: FINAL does not take the two for one.
    await copy('sent_at + INTERVAL 2 HOUR AS sent_at');
    await copy(`'other' AS message_id`);
    const { violations, examples, text } = await find();
    expect(violations.double_facts).toBe(2);
    expect(examples.double_facts).toEqual([
      expect.objectContaining({ message_id: 'm0-9', copies: 2 }),
      expect.objectContaining({ origin_partition: 0, origin_offset: 9, message_ids: ['m0-9', 'other'] }),
    ]);
    expect(text).toContain('Messages with more than one row: 2');
    expect((await world.verifyJson('--partition', '1')).violations.double_facts).toBe(0);
  });

  it('names a rollup row that was bumped', async () => {
    await world.clickhouse.command(`
      INSERT INTO bot_hour_sums (hour, tenant_id, bot_id, messages, positive)
      VALUES ('2026-03-01 10:00:00', 't2', 'b2', 1, 1)`);
    const { ok, violations, examples, text } = await find();
    expect(ok).toBe(false);
    expect(violations.rollup_mismatches).toBe(1);
    expect(examples.rollup_mismatches).toMatchObject([
      { rollup: 'bot_hour_sums', at: '2026-03-01 10:00:00', tenant_id: 't2', bot_id: 'b2' },
    ]);
    expect(text).toContain('Rollup rows that differ from the facts: 1');
    // An hour before the time that is asked for is another day's concern.
    expect(await world.verifyJson('--since', '2d')).toMatchObject({ ok: true, violations: { rollup_mismatches: 0 } });
  });

  it('names an outcome that is gone from the middle of the log, and whose it was', async () => {
    const sources = verifySources(view, world.clickhouse, world.names.TOPIC_PREFIX);
    const lossy: VerifySources['readLog'] = async function* (topic, partition, start, end) {
      for await (const page of sources.readLog(topic, partition, start, end)) {
        const isThere = ({ offset }: { offset: number }) => !(partition === 1 && (offset === 17 || offset === 49));
        yield { ...page, records: page.records.filter(isThere) };
      }
    };
    const options = { clock: systemClock, waitMs: 0, readLog: true };
    const report = await verify({ ...sources, readLog: lossy }, options);
    expect(report).toMatchObject({ ok: false, violations: { log_mismatches: 2 } });
    const source = { topic: world.topics.events, topic_id: world.eventsId, partition: 1, outcome: 'enriched' };
    expect(report.examples.log_mismatches).toEqual([
      { gone_from: 'chat.enriched', partition: 1, first: 17, last: 17, outcomes_of: [{ ...source, offset: 17 }] },
      { gone_from: 'chat.enriched', partition: 1, first: 49, last: 49, outcomes_of: [{ ...source, offset: 49 }] },
    ]);
    expect(describeReport(report)).toMatch(/Records of chat.enriched that are gone.*: 2\n.*"partition":1,"first":17/);
    // The whole log is whole.
    expect(await verify(sources, options)).toMatchObject({ ok: true, violations: { log_mismatches: 0 } });
  });

  it('names an outcome in the log that has no receipt', async () => {
    await damage('ALTER TABLE receipts DELETE WHERE partition = 0 AND offset = 30');
    const { violations, examples } = await world.verifyJson('--log');
    expect(violations.log_mismatches).toBe(1);
    expect(examples.log_mismatches).toMatchObject([
      { not_taken: 'chat.enriched', partition: 0, offset: 30, outcome_of: { topic: world.topics.events, offset: 30 } },
    ]);
  });
});

describe('the memory of verify in ClickHouse', () => {
  const MESSAGES = 500_000;

  it('is bounded, however many messages there are', async () => {
    const { clickhouse } = world;
    const facts = `FROM numbers(${MESSAGES})`;
    await clickhouse.command(`
      INSERT INTO receipts (topic_id, topic, partition, offset, last_offset, outcome, message_id, key_crc, enriched_at)
      SELECT 'many', 'many', number % 12, intDiv(number, 12) AS at, at, 'enriched', concat('many-', toString(number)) AS id,
        CRC32(concat('t\\0b\\0c', toString(number % 5000), '\\0', id)), now64(3) ${facts}`);
    await clickhouse.command(`
      INSERT INTO messages (message_id, tenant_id, bot_id, conversation_id, sent_at, enriched_at, outcome,
        origin_topic_id, origin_partition, origin_offset)
      SELECT concat('many-', toString(number)), 't', 'b', concat('c', toString(number % 5000)), now64(3), now64(3),
        'enriched', 'many', number % 12, intDiv(number, 12) ${facts}`);
    // Without spilling to disk each of the first three takes 115 to 200 MiB of this many; with it, 80, as of twice as many.
    const scope = { memoryBytes: 112 << 20 };
    const { database } = clickhouse;
    expect(await doubleReceipts(clickhouse, database, scope)).toMatchObject({ count: 0 });
    expect(await doubleFacts(clickhouse, database, scope)).toMatchObject({ count: 0 });
    expect(await receiptsWithoutFacts(clickhouse, database, scope)).toMatchObject({ count: 0 });
    // The rollups know nothing of these: 1 bot's minute or two, its hour, and 5,000 conversations each.
    expect((await rollupMismatches(clickhouse, database, scope)).count).toBeGreaterThanOrEqual(10_002);
  });
});
