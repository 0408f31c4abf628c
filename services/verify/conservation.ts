import { clipRanges, countOffsets, mergeRanges, type OffsetRange } from '../core/offset-ranges.ts';

/** How many source offsets of each outcome have a receipt: an offset counts once, however many receipts it has. */
export interface ReceiptCounts {
  readonly enriched: number;
  readonly degraded: number;
  readonly dead_lettered: number;
  readonly duplicate: number;
}

/**
 * What was read about one partition of a source topic, in this order, which the verdict rests on: the enricher's
 * watermark; then the end of `chat.enriched`; then the sink's offset; then the log's range; then the receipts.
 */
export interface PartitionReading {
  readonly partition: number;
  readonly logStart: number;
  /** The next offset to be written. */
  readonly logEnd: number;
  /** The enricher's committed offset: everything below has its outcome in `chat.enriched`. Null before its first commit. */
  readonly watermark: number | null;
  /** The sink has committed the end of `chat.enriched` as it was read after the watermark. */
  readonly sinkPastOutcomes: boolean;
  /** Receipts within `[logStart, logEnd)`, those inside a gap left out. */
  readonly receipts: ReceiptCounts;
  /** How many offsets of these receipts lie below the watermark. */
  readonly receiptsBelowWatermark: number;
  /** Receipts of outcome `gap`, as they stand. */
  readonly gaps: readonly OffsetRange[];
  /** How many offsets below {@link settledEnd} have neither and hold no record: see `missing-places.ts`. */
  readonly noRecord: number;
  /** Offsets below the log's start that were never read, and whose gap is not told yet. */
  readonly removedUntold: number;
}

/** `events` is the sum of the seven behind it (docs/architecture.md#the-way-of-one-message). */
export interface Conservation {
  readonly events: number;
  readonly enriched: number;
  readonly degraded: number;
  readonly dead_lettered: number;
  readonly duplicate_receipts: number;
  readonly gaps: number;
  readonly in_flight: number;
  readonly missing: number;
  /** Places of the log that hold no record, and so no event: transaction markers, aborted or compacted records. */
  readonly no_record: number;
}

/**
 * The conservation law for one partition. Events are the records in the log, and those that retention removed unread:
 * they are known by their gap, or until it is told by the watermark, below the log's start. Other receipts below it are left out.
 *
 * Missing is a record that the enricher has left behind, with the sink past its outcome, without a receipt; anything
 * else without one is in flight. An offset that holds no record is neither; it is looked at once it could be missing, so
 * that until then it counts as in flight.
 */
export function conserve(reading: PartitionReading): Conservation {
  const { logStart, logEnd, receipts, noRecord, removedUntold } = reading;
  const gaps = clipRanges(mergeRanges(reading.gaps), 0, logEnd);
  const gapsInLog = countOffsets(clipRanges(gaps, logStart, logEnd));
  const gapsBelowLog = countOffsets(clipRanges(gaps, 0, logStart)) + removedUntold;
  const receipted = receipts.enriched + receipts.degraded + receipts.dead_lettered + receipts.duplicate;

  const settledTo = settledEnd(reading);
  const settled = settledTo - logStart;
  const accounted = reading.receiptsBelowWatermark + countOffsets(clipRanges(gaps, logStart, settledTo));
  const missing = reading.sinkPastOutcomes ? settled - accounted - noRecord : 0;

  return {
    events: logEnd - logStart + gapsBelowLog - noRecord,
    enriched: receipts.enriched,
    degraded: receipts.degraded,
    dead_lettered: receipts.dead_lettered,
    duplicate_receipts: receipts.duplicate,
    gaps: gapsInLog + gapsBelowLog,
    in_flight: logEnd - logStart - receipted - gapsInLog - missing - noRecord,
    missing,
    no_record: noRecord,
  };
}

/** The watermark held within the log: below it nothing may be without a receipt once the sink is past the outcomes. */
export const settledEnd = ({
  watermark,
  logStart,
  logEnd,
}: Pick<PartitionReading, 'watermark' | 'logStart' | 'logEnd'>): number =>
  Math.min(Math.max(watermark ?? logStart, logStart), logEnd);

const NOTHING: Conservation = {
  events: 0,
  enriched: 0,
  degraded: 0,
  dead_lettered: 0,
  duplicate_receipts: 0,
  gaps: 0,
  in_flight: 0,
  missing: 0,
  no_record: 0,
};

export const sumConservation = (parts: readonly Conservation[]): Conservation =>
  parts.reduce(
    (sum, part) => ({
      events: sum.events + part.events,
      enriched: sum.enriched + part.enriched,
      degraded: sum.degraded + part.degraded,
      dead_lettered: sum.dead_lettered + part.dead_lettered,
      duplicate_receipts: sum.duplicate_receipts + part.duplicate_receipts,
      gaps: sum.gaps + part.gaps,
      in_flight: sum.in_flight + part.in_flight,
      missing: sum.missing + part.missing,
      no_record: sum.no_record + part.no_record,
    }),
    NOTHING,
  );
