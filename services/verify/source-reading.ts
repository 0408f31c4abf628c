import type { EpochMs, TopicId } from '../core/brands.ts';
import { ParleyError } from '../core/errors.ts';
import { clipRanges, countOffsets, mergeRanges, type OffsetRange } from '../core/offset-ranges.ts';
import type { LogRange } from '../platform/kafka/read/log-range.ts';
import type { LogPage } from '../platform/kafka/read/log-reader.ts';
import { conserve, settledEnd } from './conservation.ts';
import { type MissingPlaces, missingPlaces, type ReadLog } from './missing-places.ts';
import type { Scope } from './queries/violation-query.ts';
import { countReceipts, type RunQuery, readGaps, unreceipted, type Window } from './receipt-reader.ts';
import type { PartitionVerdict, SourceTopic } from './verify-report.ts';
import type { Violations } from './violations.ts';

/** What `verify` reads of Kafka; `ClusterView` offers it. */
interface KafkaReader {
  describeTopics(topics: readonly string[]): Promise<readonly { topic: string; topic_id: TopicId | null }[]>;
  logRanges(topic: string): Promise<readonly LogRange[]>;
  offsetsSince(topic: string, since: EpochMs): Promise<ReadonlyMap<number, number>>;
  committed(group: string, topic: string, topicId: TopicId): Promise<ReadonlyMap<number, number>>;
  settings(topics: readonly string[]): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>>;
}

/** The ports of `verify`: all that it reads comes through these. */
export interface VerifySources {
  readonly kafka: KafkaReader;
  /** Opened only where `readLog` is asked for, or where offsets have no receipt. */
  readonly readLog: ReadLog<LogPage>;
  readonly query: RunQuery;
  readonly violations: (scope: Scope, progress: (line: string) => void) => Promise<Violations>;
  /** Full names, with the prefix. */
  readonly topics: { readonly events: string; readonly replay: string; readonly enriched: string };
  readonly groups: { readonly enricher: string; readonly sink: string };
}

/** What is read, and where progress goes. */
export interface Looking {
  readonly since?: EpochMs;
  readonly partitions?: readonly number[];
  readonly progress: (line: string) => void;
}

const LISTED_RANGES = 20;

/** The log of the partitions that are asked for, from the first record of the time that is asked for. */
export async function rangesOf(
  { kafka }: VerifySources,
  name: string,
  { since, partitions }: Looking,
): Promise<LogRange[]> {
  const [ranges, first] = await Promise.all([
    kafka.logRanges(name),
    since === undefined ? undefined : kafka.offsetsSince(name, since),
  ]);
  const unknown = partitions?.find((wanted) => !ranges.some(({ partition }) => partition === wanted));
  if (unknown !== undefined) {
    throw new ParleyError('CONFIG_INVALID', `There is no partition ${unknown}: ${name} has 0 to ${ranges.length - 1}.`);
  }
  return ranges
    .filter(({ partition }) => !partitions || partitions.includes(partition))
    .map(({ partition, start, end }) => ({
      partition,
      // An end that was read a moment before the offset by time: nothing of that time is in it.
      start: Math.min(Math.max(start, first?.get(partition) ?? start), end),
      end,
    }));
}

interface Source {
  readonly topic: SourceTopic;
  readonly id: TopicId;
  readonly watermarks: ReadonlyMap<number, number>;
}

/** What was read of one source topic, partition by partition. The caller reads watermarks and the sink's place before. */
export async function readSource(
  sources: VerifySources,
  looking: Looking,
  { topic, id: topicId, watermarks }: Source,
  /** Whether the sink is past the outcomes of a partition of the source. */
  isPast: (partition: number) => boolean,
): Promise<PartitionVerdict[]> {
  const { query, topics } = sources;
  const name = topic === 'chat.events' ? topics.events : topics.replay;
  const ranges = await rangesOf(sources, name, looking);
  const [allGaps, toldSince] = [await readGaps(query, topicId), await readGaps(query, topicId, looking.since)];
  const verdicts: PartitionVerdict[] = [];
  // One after another: a partition's count may be heavy, and the endpoint has other users.
  for (const { partition, start, end } of ranges) {
    looking.progress(`${topic} partition ${partition}: offsets ${start} to ${end}`);
    const log = { logStart: start, logEnd: end, watermark: watermarks.get(partition) ?? null };
    const window = { topicId, partition, from: start, to: end };
    // Below the window a gap counts if its record came in the time that is asked for; within the window every gap counts.
    const gaps = [
      ...clipRanges(toldSince.get(partition) ?? [], 0, start),
      ...clipRanges(allGaps.get(partition) ?? [], start, end),
    ];
    const counted = await countReceipts(query, window, log.watermark ?? start, gaps);
    const reading = {
      ...log,
      partition,
      sinkPastOutcomes: isPast(partition),
      receipts: counted.receipts,
      receiptsBelowWatermark: counted.belowWatermark,
      gaps,
      noRecord: 0,
      removedUntold: await removedUntold(sources, looking, name, { ...log, topicId, partition, gaps }),
    };
    const places =
      conserve(reading).missing === 0
        ? NONE_MISSING
        : await lookForMissing(sources, looking, name, { ...window, to: settledEnd(log) }, gaps);
    verdicts.push({
      topic,
      topic_id: topicId,
      partition,
      log_start: start,
      log_end: end,
      watermark: log.watermark,
      ...conserve({ ...reading, noRecord: places.noRecord }),
      missing_ranges: places.missing,
    });
  }
  return verdicts;
}

/**
 * Records that retention or `delete-records` removed below the log's start before the enricher had read them, and of
 * which it has not told yet: it notices when it asks for the next record. The enricher's offset is read again after the
 * log's start, since what it has read by then was there. With `since` their time is not known, and they are left out.
 */
async function removedUntold(
  { kafka, query, groups }: VerifySources,
  { since }: Looking,
  name: string,
  log: {
    readonly topicId: TopicId;
    readonly partition: number;
    readonly watermark: number | null;
    readonly logStart: number;
    readonly gaps: readonly OffsetRange[];
  },
): Promise<number> {
  const { topicId, partition, logStart, gaps } = log;
  if (since !== undefined || log.watermark === null || log.watermark >= logStart) return 0;
  const now = (await kafka.committed(groups.enricher, name, topicId)).get(partition);
  if (now === undefined || now >= logStart) return 0;
  const told = countOffsets(clipRanges(mergeRanges(gaps), now, logStart));
  const { belowWatermark } = await countReceipts(
    query,
    { topicId, partition, from: now, to: logStart },
    logStart,
    gaps,
  );
  return logStart - now - told - belowWatermark;
}

const NONE_MISSING: MissingPlaces = { noRecord: 0, missing: [] };

/** Looks into the log at the offsets that have no receipt: some may never have held a record. */
async function lookForMissing(
  { kafka, query, readLog }: VerifySources,
  { progress }: Looking,
  topic: string,
  window: Window,
  gaps: readonly OffsetRange[],
): Promise<MissingPlaces> {
  const { partition } = window;
  progress(`${topic} partition ${partition}: reading the log at the offsets without a receipt`);
  const log = {
    isCompacted: isCompacted(await kafka.settings([topic]), topic),
    read: (start: number, end: number) => readLog(topic, partition, start, end),
  };
  return missingPlaces(log, unreceipted(query, window, gaps), LISTED_RANGES);
}

/** Whether compaction may have taken records out of the log. */
export const isCompacted = (settings: ReadonlyMap<string, Readonly<Record<string, string>>>, topic: string): boolean =>
  settings.get(topic)?.['cleanup.policy']?.includes('compact') === true;
