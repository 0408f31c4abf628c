import type { TopicId } from '../core/brands.ts';
import type { Clock } from '../core/clock.ts';
import { ParleyError } from '../core/errors.ts';
import { type Conservation, conserve, settledEnd, sumConservation } from './conservation.ts';
import type { OffsetRange } from './offset-ranges.ts';
import { countReceipts, listUnreceipted, type RunQuery, readGaps } from './receipt-reader.ts';
import type { Violation, Violations } from './violations.ts';

interface LogRange {
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

/** What `verify` reads of Kafka; `ClusterView` offers it. */
interface KafkaReader {
  describeTopics(topics: readonly string[]): Promise<readonly { topic: string; topic_id: TopicId | null }[]>;
  logRanges(topic: string): Promise<readonly LogRange[]>;
  committed(group: string, topic: string): Promise<ReadonlyMap<number, number>>;
}

export interface VerifySources {
  readonly kafka: KafkaReader;
  readonly query: RunQuery;
  readonly violations: () => Promise<Violations>;
  /** Full names, with the prefix. */
  readonly topics: { readonly events: string; readonly replay: string; readonly enriched: string };
  readonly groups: { readonly enricher: string; readonly sink: string };
}

/** The two topics that the conservation law holds for, by the names of design §2 whatever the prefix is. */
type SourceTopic = 'chat.events' | 'chat.replay';

interface PartitionVerdict extends Conservation {
  readonly topic: SourceTopic;
  readonly topic_id: string;
  readonly partition: number;
  readonly log_start: number;
  readonly log_end: number;
  readonly watermark: number | null;
  /** The first of the missing offsets, `first` to `last` inclusive; their number is `missing`. */
  readonly missing_ranges: readonly OffsetRange[];
}

export interface VerifyReport {
  /** Nothing missing, no violation; and nothing in flight where that was waited for. */
  readonly ok: boolean;
  readonly topics: Readonly<Record<SourceTopic, Conservation>>;
  readonly violations: Readonly<Record<keyof Violations, number>>;
  /** Some of each kind of violation, as rows. */
  readonly examples: Readonly<Record<keyof Violations, Violation['examples']>>;
  readonly by_partition: readonly PartitionVerdict[];
}

export interface VerifyOptions {
  readonly clock: Clock;
  /** How long to wait for what is in flight; 0 looks once and takes records in flight for normal. */
  readonly waitMs: number;
  readonly pollMs?: number;
  readonly signal?: AbortSignal;
  readonly progress?: (inFlight: number) => void;
}

const LISTED_RANGES = 20;

/**
 * Checks the conservation law (design §1) and that nothing is counted twice. It only reads, and its memory does not
 * grow with the number of messages.
 *
 * @throws {ParleyError} TOPIC_MISSING, KAFKA_UNREACHABLE or CLICKHOUSE_UNREACHABLE.
 */
export async function verify(sources: VerifySources, options: VerifyOptions): Promise<VerifyReport> {
  const { clock, waitMs, pollMs = 500, signal, progress } = options;
  const deadline = clock.monotonicMs() + waitMs;
  let partitions = await readPartitions(sources);
  for (;;) {
    const inFlight = partitions.reduce((sum, { in_flight }) => sum + in_flight, 0);
    if (inFlight === 0 || clock.monotonicMs() >= deadline || signal?.aborted) break;
    progress?.(inFlight);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
    partitions = await readPartitions(sources);
  }
  return reportOf(partitions, await sources.violations(), waitMs > 0);
}

function reportOf(partitions: readonly PartitionVerdict[], found: Violations, waited: boolean): VerifyReport {
  const of = (topic: SourceTopic) => sumConservation(partitions.filter((partition) => partition.topic === topic));
  const topics = { 'chat.events': of('chat.events'), 'chat.replay': of('chat.replay') };
  const violations = mapViolations(found, ({ count }) => count);
  const total = sumConservation(Object.values(topics));
  const clean = total.missing === 0 && Object.values(violations).every((count) => count === 0);
  return {
    ok: clean && (!waited || total.in_flight === 0),
    topics,
    violations,
    examples: mapViolations(found, ({ examples }) => examples),
    by_partition: partitions,
  };
}

const mapViolations = <T>(found: Violations, pick: (violation: Violation) => T): Record<keyof Violations, T> => ({
  double_receipts: pick(found.double_receipts),
  double_facts: pick(found.double_facts),
  rollup_mismatches: pick(found.rollup_mismatches),
});

/** One consistent look. The order of the reads is what makes `missing` certain: see {@link conserve}. */
async function readPartitions(sources: VerifySources): Promise<PartitionVerdict[]> {
  const { kafka, topics, groups } = sources;
  const ids = await topicIds(sources);
  const watermarks = await Promise.all([
    kafka.committed(groups.enricher, topics.events),
    kafka.committed(groups.enricher, topics.replay),
  ]);
  const outcomes = await kafka.logRanges(topics.enriched);
  const taken = await kafka.committed(groups.sink, topics.enriched);
  const sinkPast = new Set(
    // Before its first commit the sink stands at the log's start: past the end only of a log that never had a record.
    outcomes.filter(({ partition, end }) => (taken.get(partition) ?? 0) >= end).map(({ partition }) => partition),
  );
  const verdicts = await Promise.all([
    readTopic(sources, 'chat.events', topics.events, ids.events, watermarks[0], sinkPast),
    readTopic(sources, 'chat.replay', topics.replay, ids.replay, watermarks[1], sinkPast),
  ]);
  return verdicts.flat();
}

async function topicIds({ kafka, topics }: VerifySources): Promise<{ events: TopicId; replay: TopicId }> {
  const names = [topics.events, topics.replay, topics.enriched];
  const found = await kafka.describeTopics(names);
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
  const [events, replay] = names.map(idOf) as [TopicId, TopicId];
  return { events, replay };
}

async function readTopic(
  { kafka, query }: VerifySources,
  topic: SourceTopic,
  name: string,
  topicId: TopicId,
  watermarks: ReadonlyMap<number, number>,
  sinkPast: ReadonlySet<number>,
): Promise<PartitionVerdict[]> {
  const ranges = await kafka.logRanges(name);
  const gapsOf = await readGaps(query, topicId);
  const verdicts: PartitionVerdict[] = [];
  // One after another: a partition's count may be heavy, and the endpoint has other users.
  for (const { partition, start, end } of ranges) {
    const log = { logStart: start, logEnd: end, watermark: watermarks.get(partition) ?? null };
    const window = { topicId, partition, from: start, to: end };
    const gaps = gapsOf.get(partition) ?? [];
    const counted = await countReceipts(query, window, log.watermark ?? start, gaps);
    const conservation = conserve({
      ...log,
      partition,
      sinkPastOutcomes: sinkPast.has(partition),
      receipts: counted.receipts,
      receiptsBelowWatermark: counted.belowWatermark,
      gaps,
    });
    const missingWindow = { ...window, to: settledEnd(log) };
    verdicts.push({
      topic,
      topic_id: topicId,
      partition,
      log_start: start,
      log_end: end,
      watermark: log.watermark,
      ...conservation,
      missing_ranges:
        conservation.missing === 0 ? [] : await listUnreceipted(query, missingWindow, gaps, LISTED_RANGES),
    });
  }
  return verdicts;
}
