import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sendInTransaction } from '../platform/kafka/testing/transaction.ts';
import { VerifyWorld } from './testing/verify-world.ts';

/** A pipeline whose topics were written by transactional producers as well, on a real broker. */

let world: VerifyWorld;
const opaque = (count: number) => Array.from({ length: count }, () => ({ partition: 0, value: 'opaque' }));

beforeAll(async () => {
  world = await VerifyWorld.create('verify_transactions');
  const { events, enriched } = world.topics;
  // Offsets 0-4, a marker; 6-8 aborted, a marker; 10-14; a marker at the end.
  await sendInTransaction(world.kafka, events, opaque(5), 'commit');
  await sendInTransaction(world.kafka, events, opaque(3), 'abort');
  await sendInTransaction(world.kafka, events, opaque(5), 'commit');
  await world.produceOutcomes(0, 0, 5);
  await sendInTransaction(world.kafka, enriched, opaque(2), 'abort');
  await world.produceOutcomes(0, 10, 15);
  await sendInTransaction(world.kafka, enriched, opaque(1), 'abort');
  await world.commit(world.groups.enricher, events, [16, 0]);
  await world.commit(world.groups.sink, enriched, [15, 0]);
  await world.take(0, 0, 5);
  await world.take(0, 10, 15);
});

afterAll(() => world.close());

describe('parley verify beside transactional producers', () => {
  it('takes neither markers nor aborted records for events, in flight or missing, and says how many there are', async () => {
    expect(await world.verifyJson('--log', '--wait', '1s')).toMatchObject({
      ok: true,
      topics: { 'chat.events': { events: 10, enriched: 10, in_flight: 0, missing: 0, no_record: 6 } },
      violations: { log_mismatches: 0 },
    });
    expect((await world.parley('verify')).out).toContain('In chat.events 6 places hold no record');
  });

  it('still names the records among them that are missing', async () => {
    const atOnce = 'SETTINGS mutations_sync = 2';
    await world.clickhouse.command(`ALTER TABLE receipts DELETE WHERE offset IN (4, 10, 12) ${atOnce}`);
    const report = await world.verifyJson('--log');
    expect(report).toMatchObject({ ok: false, topics: { 'chat.events': { missing: 3, no_record: 6 } } });
    expect(report.violations.log_mismatches).toBe(3);
    expect(report.by_partition[0]?.missing_ranges).toEqual([4, 10, 12].map((first) => ({ first, last: first })));
    expect((await world.parley('verify')).out).toContain('Missing in chat.events partition 0: 3 (offsets 4, 10, 12;');
  });

  it('counts what comes before the enricher has passed it as in flight', async () => {
    await sendInTransaction(world.kafka, world.topics.events, opaque(2), 'abort');
    const { topics } = await world.verifyJson();
    expect(topics['chat.events']).toMatchObject({ in_flight: 3, missing: 3, no_record: 6 });
  });
});
