/**
 * Kafka's murmur2, as its Java client and kafkajs hash keys, so that any producer in any language puts a conversation
 * on the same partition. Source: org.apache.kafka.common.utils.Utils#murmur2.
 */
export function murmur2(bytes: Uint8Array): number {
  const m = 0x5bd1e995;
  const length = bytes.length;
  const at = (index: number) => bytes[index] as number;
  let h = 0x9747b28c ^ length;
  const words = length >> 2;
  for (let word = 0; word < words; word++) {
    const i = word << 2;
    let k = at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    k = Math.imul(k, m);
    h = Math.imul(h, m) ^ k;
  }
  const tail = words << 2;
  const rest = length & 3;
  if (rest === 3) h ^= at(tail + 2) << 16;
  if (rest >= 2) h ^= at(tail + 1) << 8;
  if (rest >= 1) h = Math.imul(h ^ at(tail), m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  return h ^ (h >>> 15);
}

/** The record key of a conversation: JSON, so that no choice of ids makes two conversations look alike. */
export const conversationKey = (tenantId: string, botId: string, conversationId: string): string =>
  JSON.stringify([tenantId, botId, conversationId]);

const BRACKET = 0x5b;
const QUOTE = 0x22;

/** The tenant in a record's key, for fairness alone: empty for a key that is not ours. */
export function tenantOfKey(key: Buffer | null): string {
  if (key === null || key[0] !== BRACKET || key[1] !== QUOTE) return '';
  const end = key.indexOf(QUOTE, 2);
  return end < 0 ? '' : key.toString('latin1', 2, end);
}

/** The partition of a key: chosen once, when the gateway produces to `chat.events`; every later record follows it. */
export const partitionOf = (key: string, partitions: number): number =>
  (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions;
