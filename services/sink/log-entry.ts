import { deadKey } from '../core/message-key.ts';
import { outcomePartition } from '../core/outcome-partition.ts';
import type { ChatOutcome, Coordinates } from '../core/records.ts';
import type { Decoded } from '../platform/avro/codec.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { type OutcomeIdentity, readOutcomeHeaders } from '../platform/record-headers.ts';
import type { Layout } from './recovery.ts';

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
    }
  /** Its source is at home in another partition: an enricher knew an earlier partition count. It is passed on. */
  | { readonly kind: 'misplaced'; readonly offset: number; readonly record: FetchedRecord; readonly home: number };

/** The partition of chat.enriched that is read, and by which count of partitions sources are at home in it. */
export interface Here {
  readonly partition: number;
  readonly layout: Layout;
}

const homeOf = (source: number, layout: Layout): number =>
  layout === undefined ? source : outcomePartition(source, layout);

const MAX_UINT32 = 2 ** 32 - 1;

const isPlace = ({ partition, offset }: Coordinates): boolean =>
  Number.isSafeInteger(offset) && offset >= 0 && Number.isInteger(partition) && partition >= 0;

/** Why an outcome that decoded cannot be taken; all else is clamped when the row is made. */
function objection(outcome: ChatOutcome): string | undefined {
  const { source, origin, revision, last_offset: last } = outcome;
  if (!isPlace(source) || !isPlace(origin)) return 'source or origin is no place in a log';
  if (revision < 0 || revision > MAX_UINT32) return `revision ${revision}`;
  if (outcome.outcome === '' || outcome.outcome === 'duplicate') return `outcome "${outcome.outcome}"`;
  if (outcome.outcome === 'gap' && (last === null || last < source.offset)) return `a gap up to ${last}`;
  return undefined;
}

/**
 * @param decoded what the codec made of the record's value. Receipts are kept in order by the one partition in which
 *   their source is at home, so an outcome that lies elsewhere is `misplaced`, whether it decodes or not.
 */
export function toLogEntry(record: FetchedRecord, decoded: Decoded<ChatOutcome>, here: Here): LogEntry {
  const { offset } = record;
  if (!decoded.ok) return undecodable(record, `${decoded.reason}: ${decoded.detail}`, here);
  const outcome = decoded.value;
  if (outcome.provisional) return { kind: 'provisional', offset };
  const wrong = objection(outcome);
  if (wrong) return undecodable(record, wrong, here);
  const home = homeOf(outcome.source.partition, here.layout);
  if (home !== here.partition) return { kind: 'misplaced', offset, record, home };
  return { kind: outcome.outcome === 'gap' ? 'gap' : 'outcome', offset, outcome };
}

function undecodable(record: FetchedRecord, detail: string, here: Here): LogEntry {
  const { offset } = record;
  const identity = readOutcomeHeaders(record.headers);
  if (!identity || identity.outcome === 'provisional') {
    return { kind: 'undecodable', offset, record, detail, standIn: undefined };
  }
  const home = homeOf(identity.source.partition, here.layout);
  if (home !== here.partition) return { kind: 'misplaced', offset, record, home };
  return { kind: 'undecodable', offset, record, detail, standIn: standIn(record, identity) };
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
 * so that receipts, facts and rollups agree.
 */
function standIn(record: FetchedRecord, identity: OutcomeIdentity): ChatOutcome {
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
