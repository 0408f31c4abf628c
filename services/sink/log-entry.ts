import type { ChatOutcome, Coordinates } from '../core/records.ts';
import type { Decoded } from '../platform/avro/codec.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { readOutcomeHeaders } from '../platform/record-headers.ts';
import { deadKey } from './message-key.ts';

/** One record of chat.enriched, read. */
export type LogEntry =
  /** An early answer: the final outcome follows, so nothing is stored. */
  | { readonly kind: 'provisional'; readonly offset: number }
  | { readonly kind: 'gap'; readonly offset: number; readonly outcome: ChatOutcome }
  | { readonly kind: 'outcome'; readonly offset: number; readonly outcome: ChatOutcome }
  /** Bytes that are no outcome of ours; `standIn` is what its headers allow to be counted. */
  | {
      readonly kind: 'undecodable';
      readonly offset: number;
      readonly record: FetchedRecord;
      readonly detail: string;
      readonly standIn: ChatOutcome | undefined;
    };

const MAX_UINT32 = 2 ** 32 - 1;

const isPlace = ({ partition, offset }: Coordinates): boolean =>
  Number.isSafeInteger(offset) && offset >= 0 && Number.isInteger(partition) && partition >= 0;

/**
 * Why an outcome that decoded cannot be taken. Its receipt is kept by the source's partition, which only the owner of
 * the same partition of chat.enriched keeps in order; all else is clamped when the row is made.
 */
function objection(outcome: ChatOutcome, partition: number): string | undefined {
  const { source, origin, revision, last_offset: last } = outcome;
  if (source.partition !== partition) return `the source is of partition ${source.partition}, not ${partition}`;
  if (!isPlace(source) || !isPlace(origin)) return 'source or origin is no place in a log';
  if (revision < 0 || revision > MAX_UINT32) return `revision ${revision}`;
  if (outcome.outcome === '' || outcome.outcome === 'duplicate') return `outcome "${outcome.outcome}"`;
  if (outcome.outcome === 'gap' && (last === null || last < source.offset)) return `a gap up to ${last}`;
  return undefined;
}

/** @param decoded what the codec made of the record's value. */
export function toLogEntry(record: FetchedRecord, decoded: Decoded<ChatOutcome>, partition: number): LogEntry {
  const { offset } = record;
  if (!decoded.ok) return undecodable(record, `${decoded.reason}: ${decoded.detail}`, partition);
  const outcome = decoded.value;
  if (outcome.provisional) return { kind: 'provisional', offset };
  const wrong = objection(outcome, partition);
  if (wrong) return undecodable(record, wrong, partition);
  return { kind: outcome.outcome === 'gap' ? 'gap' : 'outcome', offset, outcome };
}

function undecodable(record: FetchedRecord, detail: string, partition: number): LogEntry {
  return { kind: 'undecodable', offset: record.offset, record, detail, standIn: standIn(record, partition) };
}

/** Tenant, bot and conversation from the record's key, which is a JSON array of the three. */
function conversationOf(key: Buffer | null): readonly [string, string, string] | undefined {
  try {
    const parsed: unknown = JSON.parse(key?.toString('utf8') ?? '');
    const isKey = Array.isArray(parsed) && parsed.length === 3 && parsed.every((part) => typeof part === 'string');
    return isKey ? (parsed as unknown as [string, string, string]) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * An undecodable record still stands for a message that was taken: counted as dead-lettered, from its headers and key,
 * so that receipts, facts and rollups agree. Undefined when the headers say too little.
 */
function standIn(record: FetchedRecord, partition: number): ChatOutcome | undefined {
  const identity = readOutcomeHeaders(record.headers);
  if (!identity || identity.source.partition !== partition || identity.outcome === 'provisional') return undefined;
  const { source, origin, revision } = identity;
  const conversation = conversationOf(record.key);
  const [tenant_id, bot_id, conversation_id] = conversation ?? ['', '', ''];
  const at = record.timestamp;
  return {
    source,
    last_offset: null,
    origin,
    outcome: 'dead_lettered',
    provisional: false,
    reason: 'outcome_undecodable',
    revision,
    supersedes: revision > 0 ? revision - 1 : null,
    message_id: conversation ? identity.messageId : deadKey(origin).message_id,
    tenant_id,
    bot_id,
    conversation_id,
    speaker: '',
    text: '',
    sent_at: at,
    sent_at_original: null,
    received_at: at,
    enriched_at: at,
    recheck: false,
    user_id: null,
    channel: null,
    bot_version: null,
    metadata: new Map(),
    nlp_ms: 0,
    attempts: 0,
    cache_hit: false,
    insight: null,
  };
}
