import { setTimeout as delay } from 'node:timers/promises';
import { errorTypeOf } from '../kafkajs/error-type.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type InternalCluster, openCluster } from '../kafkajs/kafkajs-internals.ts';
import { askLeaders, lookUpOffsets, type Offsets } from '../kafkajs/offset-look-up.ts';
import type { LogRange } from './log-range.ts';
import { readLogRanges } from './log-ranges-look.ts';

const TRIES = 20;
const RETRY_MS = 250;

/**
 * The log of a topic by partition, ascending; all of it, for about five seconds.
 *
 * @throws naming a partition whose log cannot be read and why, or why the topic cannot be.
 */
export async function fetchLogRanges(kafka: Kafka, topic: string): Promise<LogRange[]> {
  return await persistently(kafka, async (cluster) => {
    const { ranges, failed } = await readLogRanges(cluster, topic);
    assertAll(topic, failed);
    return ranges;
  });
}

/**
 * By partition, the first offset whose record was produced at this time, ms since the epoch, or later; the log's end where
 * there is none.
 *
 * @throws as {@link fetchLogRanges}.
 */
export async function fetchOffsetsSince(kafka: Kafka, topic: string, since: number): Promise<Map<number, number>> {
  return await persistently(kafka, async (cluster) => {
    const leaders = await askLeaders(cluster, topic);
    const ends = await lookUpOffsets(cluster, topic, leaders, 'end');
    const starts = await lookUpOffsets(cluster, topic, leaders, since);
    assertAll(topic, new Map([...ends.failed, ...starts.failed]));
    return new Map(
      [...ends.found].map(([partition, end]) => [partition, sinceOrEnd(starts.found.get(partition), end)]),
    );
  });
}

/** How many records the partitions that can be read have had since that time, ms since the epoch. */
export async function countSince(kafka: Kafka, topic: string, since: number): Promise<number> {
  return await persistently(kafka, async (cluster) => {
    const leaders = await askLeaders(cluster, topic);
    const starts = await lookUpOffsets(cluster, topic, leaders, since);
    const ends = await lookUpOffsets(cluster, topic, leaders, 'end');
    const counts = [...ends.found].map(([partition, end]) => end - sinceOrEnd(starts.found.get(partition), end));
    return counts.reduce((sum, count) => sum + count, 0);
  });
}

const sinceOrEnd = (since = -1, end: number): number => (since < 0 ? end : since);

function assertAll(topic: string, failed: Offsets['failed']): void {
  for (const [partition, reason] of failed) throw new Error(`${topic}/${partition} cannot be read: ${reason}`);
}

/** Leaders move, and a topic that was made just now is not known to every broker. */
async function persistently<T>(kafka: Kafka, read: (cluster: InternalCluster) => Promise<T>): Promise<T> {
  const cluster = openCluster(kafka);
  try {
    for (let tried = 1; ; tried++) {
      try {
        return await read(cluster);
      } catch (error) {
        if (tried >= TRIES || FINAL.has(errorTypeOf(error) ?? '')) throw error;
      }
      await delay(RETRY_MS);
    }
  } finally {
    await cluster.disconnect();
  }
}

const FINAL = new Set(['INVALID_TOPIC_EXCEPTION', 'TOPIC_AUTHORIZATION_FAILED']);
