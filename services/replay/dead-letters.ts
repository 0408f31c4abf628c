import { epochMs } from '../core/brands.ts';
import { ParleyError } from '../core/errors.ts';
import type { ChatEvent } from '../core/records.ts';
import type { ChatCodec } from '../platform/avro/codec.ts';
import type { ClusterView } from '../platform/kafka/read/cluster-view.ts';
import type { LogRange } from '../platform/kafka/read/log-range.ts';
import type { LogReader } from '../platform/kafka/read/log-reader.ts';
import { type DeadLetter, readDeadLetter } from './dead-letter-record.ts';
import { matchesEvent, matchesLetter, type Selection } from './selection.ts';

export interface DeadLetterSource {
  readonly view: ClusterView;
  readonly reader: LogReader;
  /** Null leaves events undecoded: for counts by header alone. */
  readonly codec: ChatCodec | null;
  /** `chat.dlq` with the prefix. */
  readonly topic: string;
}

/** A dead letter and the event in it, where it decodes. */
export interface ReadLetter {
  readonly letter: DeadLetter;
  readonly event: ChatEvent | null;
  /** Why it does not decode; null where it does, or was not tried. */
  readonly problem: string | null;
}

/** A record is produced after it failed; clocks of two machines may differ by as much. */
const CLOCK_SKEW_MS = 300_000;

/** The stretches of `chat.dlq` that may hold what is selected, as the log stands now. @throws {ParleyError} TOPIC_MISSING */
export async function rangesOf({ view, topic }: DeadLetterSource, selection: Selection): Promise<LogRange[]> {
  const [described] = await view.describeTopics([topic]);
  if (!described?.topic_id) {
    const advice = 'start the services once (npm start), or check TOPIC_PREFIX';
    throw new ParleyError('TOPIC_MISSING', `Kafka has no topic ${topic}: ${advice}.`);
  }
  const { from, offsets, partition: wanted } = selection;
  const since = from === undefined ? undefined : await view.offsetsSince(topic, epochMs(from - CLOCK_SKEW_MS));
  return described.partitions
    .filter(({ partition }) => wanted === undefined || partition === wanted)
    .map(({ partition, start, end }) => ({
      partition,
      start: Math.max(start, since?.get(partition) ?? start, offsets?.first ?? start),
      end: Math.min(end, (offsets?.last ?? end) + 1),
    }));
}

/**
 * What is selected within the ranges, partition by partition in offset order, one fetch of the log in memory at a time.
 * It joins no group and leaves nothing behind on the broker.
 */
export async function* readDeadLetters(
  { reader, codec, topic }: DeadLetterSource,
  selection: Selection,
  ranges: readonly LogRange[],
): AsyncGenerator<ReadLetter[]> {
  for (const { partition, start, end } of ranges) {
    for await (const records of reader.read(topic, partition, start, end)) {
      const page: ReadLetter[] = [];
      for (const record of records) {
        const letter = readDeadLetter(partition, record);
        if (!matchesLetter(selection, letter)) continue;
        const read = await decode(codec, letter);
        if (matchesEvent(selection, read.event)) page.push(read);
      }
      yield page;
    }
  }
}

/** What failed in the sink is an outcome, not an event; a stub and a null have no bytes. */
async function decode(codec: ChatCodec | null, letter: DeadLetter): Promise<ReadLetter> {
  if (!codec) return { letter, event: null, problem: null };
  if (letter.reason === 'outcome_undecodable')
    return { letter, event: null, problem: 'it is an outcome, not an event' };
  const decoded = await codec.decodeEvent(letter.record.value);
  return decoded.ok
    ? { letter, event: decoded.value, problem: null }
    : { letter, event: null, problem: `${decoded.reason}: ${decoded.detail}` };
}
