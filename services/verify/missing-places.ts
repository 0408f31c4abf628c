import { commonRanges, countOffsets, holesIn, mergeRanges, type OffsetRange } from '../core/offset-ranges.ts';

/** A stretch `[from, next)` of a log; `LogReader` gives it as a page. */
export interface ReadPage {
  readonly from: number;
  readonly next: number;
  readonly records: readonly { readonly offset: number }[];
  readonly unreadable: readonly { readonly first: number; readonly next: number }[];
  /** Transaction markers and aborted records, ascending. */
  readonly voided: readonly OffsetRange[];
}

/** Reads `[start, end)` of one partition of a topic, in offset order, a page at a time. */
export type ReadLog<Page extends ReadPage = ReadPage> = (
  topic: string,
  partition: number,
  start: number,
  end: number,
) => AsyncIterable<Page>;

/** One partition as the search reads it. */
interface Log {
  /** Reads `[start, end)`. */
  readonly read: (start: number, end: number) => AsyncIterable<ReadPage>;
  /** The topic is compacted by its settings: any place without a record is one that compaction emptied. */
  readonly isCompacted: boolean;
}

export interface MissingPlaces {
  /** How many of the offsets hold no record, for a reason that is known. */
  readonly noRecord: number;
  /** The first stretches of the others. */
  readonly missing: readonly OffsetRange[];
}

/**
 * Tells which of the offsets that have no receipt are missing: all, but for those at which the log itself shows why there
 * is no record. These are transaction markers and aborted records; and every empty place of a topic that is compacted. In
 * any other log offsets are contiguous, so that a place without a record is one that Kafka lost: it stays missing, as does
 * one that was cut off before it could be read.
 *
 * Memory is bounded by one page of the log and the holes of one chunk (65,536 offsets).
 *
 * @param holes offsets without a receipt, ascending, a chunk at a time.
 * @param limit stretches to list.
 */
export async function missingPlaces(
  log: Log,
  holes: AsyncIterable<readonly OffsetRange[]>,
  limit: number,
): Promise<MissingPlaces> {
  let noRecord = 0;
  let missing: OffsetRange[] = [];
  for await (const chunk of holes) {
    const empty = await emptyWithin(log, chunk);
    noRecord += countOffsets(empty);
    // One more than is listed, so that a last stretch which goes on in the next chunk is whole.
    if (missing.length <= limit) missing = mergeRanges([...missing, ...without(chunk, empty)]).slice(0, limit + 1);
  }
  return { noRecord, missing: missing.slice(0, limit) };
}

async function emptyWithin({ read, isCompacted }: Log, holes: readonly OffsetRange[]): Promise<OffsetRange[]> {
  const empty: OffsetRange[] = [];
  const end = (holes.at(-1)?.last ?? -1) + 1;
  let next = holes[0]?.first ?? end;
  while (next < end) {
    const asked = next;
    for await (const page of read(asked, end)) {
      empty.push(...commonRanges(holes, isCompacted ? unfilled(page) : page.voided));
      next = holes.find(({ last }) => last >= page.next)?.first ?? end;
      // What lies between two holes is not read, where it is more than the page.
      if (next > page.next) break;
      next = page.next;
    }
    if (next === asked) break;
  }
  return mergeRanges(empty);
}

/** Every place of the page at which there is no record. */
const unfilled = ({ from, next, records, unreadable }: ReadPage): OffsetRange[] =>
  holesIn(
    [
      ...records.map(({ offset }) => ({ first: offset, last: offset })),
      ...unreadable.map((batch) => ({ first: batch.first, last: batch.next - 1 })),
    ],
    from,
    next,
  );

/** What of `ranges` the others leave. */
function without(ranges: readonly OffsetRange[], others: readonly OffsetRange[]): OffsetRange[] {
  const [first, last] = [ranges[0]?.first ?? 0, ranges.at(-1)?.last ?? -1];
  return commonRanges(ranges, holesIn(others, first, last + 1));
}
