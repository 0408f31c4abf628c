import type { EpochMs, TopicId } from '../core/brands.ts';
import type { Clock } from '../core/clock.ts';
import { ParleyError } from '../core/errors.ts';
import { outcomePartition } from '../core/outcome-partition.ts';
import type { LogRange } from '../platform/kafka/read/log-range.ts';
import { checkOutcomeLog, type ReadOutcomes } from './log-check.ts';
import { isCompacted, type Looking, rangesOf, readSource, type VerifySources } from './source-reading.ts';
import { type PartitionVerdict, reportOf, type VerifyReport } from './verify-report.ts';
import type { Violation } from './violations.ts';

export type { VerifySources } from './source-reading.ts';
export type { VerifyReport } from './verify-report.ts';

export interface VerifyOptions {
  readonly clock: Clock;
  /** How long to wait for what is in flight; 0 looks once and takes records in flight for normal. */
  readonly waitMs: number;
  readonly pollMs?: number;
  /** Only records produced since then. */
  readonly since?: EpochMs;
  /** Only these partitions. */
  readonly partitions?: readonly number[];
  /** Messages that were removed before they were read are lost, and no reason to end with an error. */
  readonly acceptGaps?: boolean;
  /** Reads the whole of `chat.enriched` as well, and compares it with the receipts. */
  readonly readLog?: boolean;
  readonly signal?: AbortSignal;
  /** One line for people, each time something else is looked at. */
  readonly progress?: (line: string) => void;
}

interface Look {
  readonly partitions: readonly PartitionVerdict[];
  /** What the sink has taken of `chat.enriched`. */
  readonly outcomes: { readonly topicId: TopicId; readonly ranges: readonly LogRange[] };
}

/**
 * Checks the conservation law (docs/architecture.md#the-way-of-one-message) and that nothing is counted twice. It only reads.
 *
 * Memory does not grow with the number of messages, here or in ClickHouse: receipts are counted there in the order of
 * their sort key, and only a damaged stretch is listed, 64 Ki offsets at a time; of each violation a count and ten rows
 * come back (`violation-query.ts` says how the groups behind them are bounded); of the log one fetch is held at a time.
 *
 * @throws {ParleyError} TOPIC_MISSING, KAFKA_UNREACHABLE or CLICKHOUSE_UNREACHABLE; CONFIG_INVALID for a partition that
 *   no topic has.
 */
export async function verify(sources: VerifySources, options: VerifyOptions): Promise<VerifyReport> {
  const { clock, waitMs, pollMs = 500, signal, since, partitions, readLog = false, progress = () => {} } = options;
  const scope = { ...(since !== undefined && { since }), ...(partitions && { partitions }) };
  const looking = { ...scope, progress };
  const deadline = clock.monotonicMs() + waitMs;
  let look = await lookOnce(sources, looking);
  for (;;) {
    const inFlight = look.partitions.reduce((sum, { in_flight }) => sum + in_flight, 0);
    if (inFlight === 0 || clock.monotonicMs() >= deadline || signal?.aborted) break;
    progress(`${inFlight.toLocaleString('en')} in flight`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
    look = await lookOnce(sources, { ...looking, progress: () => {} });
  }
  const violations = await sources.violations(scope, progress);
  return reportOf({
    partitions: look.partitions,
    found: { ...violations, log_mismatches: readLog ? await readThrough(sources, look, progress) : null },
    waited: waitMs > 0,
    acceptGaps: options.acceptGaps === true,
    scope,
  });
}

async function readThrough(
  { kafka, readLog, query, topics: { enriched } }: VerifySources,
  { outcomes }: Look,
  progress: (line: string) => void,
): Promise<Violation> {
  const read: ReadOutcomes = (partition, start, end) => {
    progress(`reading chat.enriched partition ${partition}, ${(end - start).toLocaleString('en')} records`);
    return readLog(enriched, partition, start, end);
  };
  return checkOutcomeLog(read, query, {
    ...outcomes,
    isCompacted: isCompacted(await kafka.settings([enriched]), enriched),
  });
}

/** One consistent look. The order of the reads is what makes `missing` certain: see {@link conserve}. */
async function lookOnce(sources: VerifySources, looking: Looking): Promise<Look> {
  const { kafka, topics, groups } = sources;
  const ids = await topicIds(sources);
  const watermarks = await Promise.all([
    kafka.committed(groups.enricher, topics.events, ids.events),
    kafka.committed(groups.enricher, topics.replay, ids.replay),
  ]);
  const allOutcomes = await kafka.logRanges(topics.enriched);
  const homeOf = (partition: number) => outcomePartition(partition, allOutcomes.length);
  const homes = looking.partitions && new Set(looking.partitions.map(homeOf));
  const outcomes = await rangesOf(sources, topics.enriched, { ...looking, ...(homes && { partitions: [...homes] }) });
  const taken = await kafka.committed(groups.sink, topics.enriched, ids.enriched);
  // Before its first commit the sink stands at the log's start: past the end only of a log that never had a record.
  const sinkAt = (partition: number) => taken.get(partition) ?? 0;
  const sinkPast = new Set(
    outcomes.filter(({ partition, end }) => sinkAt(partition) >= end).map(({ partition }) => partition),
  );
  const isPast = (partition: number) => sinkPast.has(homeOf(partition));
  const read = [
    await readSource(sources, looking, { topic: 'chat.events', id: ids.events, watermarks: watermarks[0] }, isPast),
    await readSource(sources, looking, { topic: 'chat.replay', id: ids.replay, watermarks: watermarks[1] }, isPast),
  ];
  const ranges = outcomes.map((range) => ({ ...range, end: Math.min(range.end, sinkAt(range.partition)) }));
  return { partitions: read.flat(), outcomes: { topicId: ids.enriched, ranges } };
}

async function topicIds({ kafka, topics }: VerifySources): Promise<Record<keyof typeof topics, TopicId>> {
  const found = await kafka.describeTopics([topics.events, topics.replay, topics.enriched]);
  const idOf = (name: string): TopicId => {
    const id = found.find(({ topic }) => topic === name)?.topic_id;
    if (!id) {
      throw new ParleyError(
        'TOPIC_MISSING',
        `Kafka has no topic ${name}: start the services once (npm start), or check TOPIC_PREFIX.`,
      );
    }
    return id;
  };
  return { events: idOf(topics.events), replay: idOf(topics.replay), enriched: idOf(topics.enriched) };
}
