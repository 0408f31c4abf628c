import type { Clock } from '../core/clock.ts';
import type { ChatOutcome } from '../core/records.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import type { TalliedHistogram } from '../platform/metrics.ts';

/** One message in so many is timed: five observations of each would cost as much as its Avro. */
const TIMED_EVERY = 16;

/**
 * Where a live message's latency went, by stage:
 *
 *     received ─gateway─▶ produced ─log─▶ fetched ─queue─▶ started ─analysis─▶ decided ─ack─▶ acked
 *
 * The first two lie between clocks of different machines; what is negative counts as nothing.
 */
export function observeStages(
  stages: TalliedHistogram,
  { offset, timestamp, fetchedAtMs }: FetchedRecord,
  { received_at, enriched_at }: ChatOutcome,
  startedAtMs: number,
  clock: Clock,
): void {
  if (offset % TIMED_EVERY !== 0 || fetchedAtMs === undefined) return;
  const observe = (stage: string, fromMs: number, toMs: number) =>
    stages.observe(Math.max(toMs - fromMs, 0) / 1_000, stage);
  observe('gateway', received_at, timestamp);
  observe('log', timestamp, fetchedAtMs);
  observe('queue', fetchedAtMs, startedAtMs);
  observe('analysis', startedAtMs, enriched_at);
  observe('ack', enriched_at, clock.now());
}
