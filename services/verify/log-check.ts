import type { TopicId } from '../core/brands.ts';
import { holesIn } from '../core/offset-ranges.ts';
import { type OutcomeIdentity, readOutcomeHeaders } from '../platform/record-headers.ts';
import type { ReadPage } from './missing-places.ts';
import type { Violations as Violation } from './queries/violation-query.ts';
import type { RunQuery } from './receipt-reader.ts';

/** A record as far as the check looks at it. */
interface LogRecord {
  readonly offset: number;
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
}

/** Reads `[start, end)` of one partition of `chat.enriched`, in offset order, a page at a time; `LogReader` does. */
export type ReadOutcomes = (
  partition: number,
  start: number,
  end: number,
) => AsyncIterable<ReadPage & { readonly records: readonly LogRecord[] }>;

interface OutcomeLog {
  readonly topicId: TopicId;
  /** By its settings: a hole is what compaction left, which took it out after the sink had read it. */
  readonly isCompacted: boolean;
  /** What the sink has taken: behind it nothing has to have a receipt. */
  readonly ranges: readonly { readonly partition: number; readonly start: number; readonly end: number }[];
}

interface Receipt {
  readonly topic: string;
  readonly topic_id: string;
  readonly partition: number;
  readonly offset: number;
  readonly outcome: string;
}

const EXAMPLES = 10;
const STRETCH_OFFSETS = 65_536;

/**
 * Reads `chat.enriched` through and compares it with the receipts, both ways: each offset must be there (the log is
 * contiguous, so a hole is a record that Kafka lost, unless it is a transaction's marker or an aborted record), and each final outcome's source must have a receipt. One page of
 * records and the receipts of its stretch are in memory at a time.
 */
export async function checkOutcomeLog(read: ReadOutcomes, query: RunQuery, log: OutcomeLog): Promise<Violation> {
  let count = 0;
  const examples: Record<string, unknown>[] = [];
  const report = (found: number, rows: readonly Record<string, unknown>[]) => {
    count += found;
    examples.push(...rows.slice(0, EXAMPLES - examples.length));
  };
  for (const { partition, start, end } of log.ranges) {
    let next = start;
    const hole = async (first: number, last: number) => {
      const outcomes_of = await receiptsAt(query, log.topicId, partition, first, last);
      report(last - first + 1, [{ gone_from: 'chat.enriched', partition, first, last, outcomes_of }]);
    };
    for await (const page of read(partition, start, end)) {
      const points = page.records.map(({ offset }) => ({ first: offset, last: offset }));
      const holes = log.isCompacted ? [] : holesIn([...points, ...page.voided], next, page.next);
      for (const { first, last } of holes) await hole(first, last);
      next = page.next;
      const untaken = await withoutReceipt(query, page.records);
      report(
        untaken.length,
        untaken.map(({ offset, source }) => ({ not_taken: 'chat.enriched', partition, offset, outcome_of: source })),
      );
    }
    if (next < end) await hole(next, end - 1);
  }
  return { count, examples };
}

/** The sources whose outcomes stood at these places of the log, as far as the sink had taken them. */
function receiptsAt(query: RunQuery, topicId: TopicId, partition: number, first: number, last: number) {
  return query<Receipt>(
    `SELECT topic, topic_id, partition, offset, outcome FROM receipts
     WHERE log_topic_id = {topic_id:String} AND log_partition = {partition:Int32}
       AND log_offset BETWEEN {first:Int64} AND {last:Int64}
     ORDER BY log_offset LIMIT ${EXAMPLES}`,
    { topic_id: topicId, partition, first, last },
  );
}

interface Outcome {
  readonly offset: number;
  readonly source: OutcomeIdentity['source'];
}

/** Gaps have receipts of their own bounds, and provisional outcomes none. */
const isCounted = ({ outcome }: OutcomeIdentity): boolean => outcome !== 'gap' && outcome !== 'provisional';

async function withoutReceipt(query: RunQuery, page: readonly LogRecord[]): Promise<Outcome[]> {
  const outcomes = page.flatMap(({ offset, headers }): Outcome[] => {
    const identity = readOutcomeHeaders(headers);
    return identity && isCounted(identity) ? [{ offset, source: identity.source }] : [];
  });
  const untaken: Outcome[] = [];
  // By source partition, of which one of `chat.enriched` holds several, and by stretches, so that a page in which old
  // sources come again asks for no more receipts than these hold.
  const stretch = ({ source: { topic_id, partition, offset } }: Outcome) =>
    `${topic_id}/${partition}/${Math.floor(offset / STRETCH_OFFSETS)}`;
  for (const together of Map.groupBy(outcomes, stretch).values()) {
    const offsets = together.map(({ source }) => source.offset);
    const taken = await query<{ offset: number }>(
      `SELECT offset FROM receipts
       WHERE topic_id = {topic_id:String} AND partition = {partition:Int32}
         AND offset BETWEEN {low:Int64} AND {high:Int64}`,
      {
        topic_id: together[0]?.source.topic_id,
        partition: together[0]?.source.partition,
        low: offsets.reduce((a, b) => Math.min(a, b)),
        high: offsets.reduce((a, b) => Math.max(a, b)),
      },
    );
    const receipted = new Set(taken.map(({ offset }) => Number(offset)));
    untaken.push(...together.filter(({ source }) => !receipted.has(source.offset)));
  }
  return untaken;
}
