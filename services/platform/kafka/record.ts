import type { KafkaMessage } from 'kafkajs';

export interface FetchedRecord {
  readonly offset: number;
  /** When the record was produced, ms since the epoch. */
  readonly timestamp: number;
  /** When it came here, ms since the epoch; of what a consumer group fetched. */
  readonly fetchedAtMs?: number | undefined;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
  /** Bytes of key and value. */
  readonly size: number;
}

/** A record as kafkajs fetched it; of a header that stands there more than once, the last. */
export function toRecord(message: KafkaMessage, fetchedAtMs?: number): FetchedRecord {
  const headers: Record<string, Buffer | undefined> = {};
  const sent = message.headers ?? {};
  for (const name of Object.keys(sent)) {
    const value = sent[name];
    const last = Array.isArray(value) ? value.at(-1) : value;
    if (last !== undefined) headers[name] = Buffer.isBuffer(last) ? last : Buffer.from(last);
  }
  return {
    offset: Number(message.offset),
    timestamp: Number(message.timestamp),
    fetchedAtMs,
    key: message.key,
    value: message.value,
    headers,
    size: (message.key?.length ?? 0) + (message.value?.length ?? 0),
  };
}
