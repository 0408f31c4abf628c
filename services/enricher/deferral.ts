import type { ChatEvent, Coordinates } from '../core/records.ts';
import type { ChatCodec } from '../platform/avro/codec.ts';
import type { OutgoingRecord } from '../platform/kafka/produce/batch-producer.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { passOnHeaders } from '../platform/record-headers.ts';

/** Stands in `replay_id` where no run of `parley replay` but an outage put the record there. */
const DEFERRED = 'deferred';

/**
 * The record on `chat.replay` by which a message that gets a degraded outcome is analysed later: same partition, key and
 * identity; its outcome replaces the degraded one, which is the revision that is given here.
 */
export function deferral(
  replayTopic: string,
  codec: ChatCodec,
  record: FetchedRecord,
  source: Coordinates,
  event: ChatEvent,
  revision: number,
): OutgoingRecord {
  return {
    topic: replayTopic,
    partition: source.partition,
    key: record.key,
    value: codec.encodeEvent({
      ...event,
      origin: event.origin ?? source,
      supersedes: revision,
      replay_id: DEFERRED,
      replay_attempt: event.replay_attempt + 1,
    }),
    headers: passOnHeaders(record.headers, {}),
  };
}
