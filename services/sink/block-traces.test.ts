import { expect, it } from '@jest/globals';
import type { TopicId } from '../core/brands.ts';
import { epochMs } from '../core/brands.ts';
import { ManualClock } from '../core/clock.ts';
import type { Claim } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { openTracing } from '../platform/testing/test-tracing.ts';
import type { BlockPlan } from './block-plan.ts';
import { BlockTraces } from './block-traces.ts';
import type { LogEntry } from './log-entry.ts';
import { outcomeOf } from './testing/outcomes.ts';

const NOW = epochMs(1_790_000_000_000);
const topicId = 'AAAAAAAAAAAAAAAAAAAAAA' as TopicId;
const claim = { topic: 'chat.enriched', partition: 3, topicId } as Claim;
const traceIdOf = (offset: number) => (offset + 1).toString(16).padStart(32, '0');

const recordAt = (offset: number, flags = '01'): FetchedRecord => ({
  offset,
  timestamp: NOW,
  key: null,
  value: null,
  headers: { traceparent: Buffer.from(`00-${traceIdOf(offset)}-${'b'.repeat(16)}-${flags}`) },
  size: 0,
});

/** A block of these offsets; those of `repeats` had a receipt already, those of `early` are provisional. */
function blockOf(from: number, to: number, { repeats = [] as number[], early = [] as number[] } = {}) {
  const offsets = Array.from({ length: to - from }, (_, index) => from + index);
  const entries = offsets.map((offset): LogEntry => {
    return early.includes(offset)
      ? { kind: 'provisional', offset }
      : { kind: 'outcome', offset, outcome: outcomeOf({ partition: 3, offset }) };
  });
  const judged = offsets
    .filter((offset) => !repeats.includes(offset) && !early.includes(offset))
    .map((offset) => ({
      offset,
      outcome: outcomeOf({ partition: 3, offset }),
      undecodable: false,
      verdict: { kind: 'first' as const },
    }));
  const block = { topicId, partition: 3, from, to };
  return { plan: { block, judged, gaps: [], receipts: [], repeats: repeats.length } satisfies BlockPlan, entries };
}

async function opened() {
  const clock = new ManualClock(NOW);
  const tracing = await openTracing();
  return { clock, tracing, traces: new BlockTraces(tracing.tracer, 'parley.sink', claim, clock) };
}

it('a block stands in the trace of its first traced message, with links to the others, which link back', async () => {
  const { clock, tracing, traces } = await opened();
  traces.take([recordAt(10, '00'), recordAt(11), recordAt(12), recordAt(13), recordAt(14), recordAt(15), recordAt(20)]);
  clock.advance(700);
  const { plan, entries } = blockOf(10, 20, { repeats: [13], early: [14] });
  traces.inserted(plan, entries, NOW + 500);
  const [insert, ...processes] = await tracing.spans();
  expect(processes.map(({ traceId, attributes }) => [traceId, attributes['parley.verdict']])).toEqual([
    [traceIdOf(11), 'first'],
    [traceIdOf(12), 'first'],
    [traceIdOf(13), 'repeat'],
    [traceIdOf(14), undefined],
    [traceIdOf(15), 'first'],
  ]);
  const [first, second, , early, last] = processes;
  expect(first).toMatchObject({
    name: 'process chat.enriched',
    kind: 'consumer',
    parentSpanId: 'b'.repeat(16),
    startMs: NOW,
    attributes: {
      'messaging.system': 'kafka',
      'messaging.destination.name': 'chat.enriched',
      'messaging.destination.partition.id': '3',
      'messaging.kafka.offset': 11,
      'messaging.consumer.group.name': 'parley.sink',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'parley.provisional': false,
    },
    links: [],
  });
  expect(early?.attributes['parley.provisional']).toBe(true);
  const place = (span: typeof insert) => ({ traceId: span?.traceId, spanId: span?.spanId });
  expect(insert).toMatchObject({
    name: 'INSERT ingest',
    kind: 'client',
    traceId: traceIdOf(11),
    parentSpanId: first?.spanId,
    startMs: NOW + 500,
    attributes: {
      'messaging.batch.message_count': 10,
      'parley.block.from': 10,
      'parley.block.to': 20,
      'parley.block.outcomes': 8,
    },
    links: [place(second), place(last)],
  });
  expect(processes.map(({ links }) => links)).toEqual([[], [place(insert)], [], [], [place(insert)]]);
});

it('where no traced message went in there is no span of the block', async () => {
  const { tracing, traces } = await opened();
  traces.take([recordAt(1), recordAt(2, '00')]);
  const untraced = blockOf(2, 3);
  const repeated = blockOf(0, 2, { repeats: [1] });
  traces.inserted(repeated.plan, repeated.entries, NOW);
  traces.inserted(untraced.plan, untraced.entries, NOW);
  expect((await tracing.spans()).map(({ name }) => name)).toEqual(['process chat.enriched']);
});

it('a record that is read again counts once, and the links of a block are bounded', async () => {
  const { tracing, traces } = await opened();
  const records = Array.from({ length: 300 }, (_, offset) => recordAt(offset));
  traces.take(records);
  traces.take(records.slice(100));
  const { plan, entries } = blockOf(0, 300);
  traces.inserted(plan, entries, NOW);
  const again = blockOf(300, 301);
  traces.inserted(again.plan, again.entries, NOW);
  const [insert, ...processes] = await tracing.spans();
  expect(processes).toHaveLength(129);
  expect(insert?.links).toHaveLength(128);
});
