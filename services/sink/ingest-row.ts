import type { TopicId } from '../core/brands.ts';
import type { ChatOutcome, Coordinates } from '../core/records.ts';
import type { ReceiptOutcome } from '../core/wire-codes.ts';
import { finite, latencyOf, MAX_UINT16, MAX_UINT32, scoreE4, timeWithin, within } from './clamps.ts';
import { type PresentRow, sharesSortKey } from './present-row.ts';
import type { Bounds } from './recovery.ts';

/** The columns of `ingest`, in the order of every row made here. */
export const INGEST_COLUMNS = [
  'to_receipts',
  'to_messages',
  'sign',
  'is_deleted',
  'topic_id',
  'topic',
  'partition',
  'offset',
  'last_offset',
  'receipt_outcome',
  'message_id',
  'tenant_id',
  'bot_id',
  'conversation_id',
  'speaker',
  'text',
  'sent_at',
  'sent_at_original',
  'received_at',
  'enriched_at',
  'outcome',
  'reason',
  'revision',
  'language',
  'language_confidence',
  'sentiment_label',
  'sentiment_score',
  'sentiment_e4',
  'intent',
  'intent_confidence',
  'toxicity_score',
  'topics',
  'nlp_ms',
  'latency_ms',
  'attempts',
  'cache_hit',
  'model',
  'user_id',
  'channel',
  'bot_version',
  'metadata',
  'origin_topic_id',
  'origin_partition',
  'origin_offset',
  'log_topic_id',
  'log_partition',
  'log_offset',
  'block_from',
  'block_to',
] as const;

export type IngestRow = readonly unknown[];

/** The block that brings a row in. */
export interface BlockId extends Bounds {
  readonly topicId: string;
  readonly partition: number;
}

/** What a row does in the targets. */
interface Effects {
  readonly toReceipts: 0 | 1;
  readonly toMessages: 0 | 1;
  readonly sign: 1 | 0 | -1;
  readonly isDeleted: 0 | 1;
}

const FIRST: Effects = { toReceipts: 1, toMessages: 1, sign: 1, isDeleted: 0 };
const RECEIPT_ONLY: Effects = { toReceipts: 1, toMessages: 0, sign: 0, isDeleted: 0 };
const RETRACTION: Effects = { toReceipts: 0, toMessages: 0, sign: -1, isDeleted: 0 };
const HIDING: Effects = { toReceipts: 0, toMessages: 1, sign: 0, isDeleted: 1 };

interface Receipt {
  readonly source: Coordinates;
  readonly last: number;
  readonly outcome: ReceiptOutcome | string;
}

function ingestRow(
  effects: Effects,
  outcome: ChatOutcome,
  receipt: Receipt,
  place: { readonly block: BlockId; readonly offset: number },
  latencyMs: number,
): IngestRow {
  const { source } = receipt;
  const { insight } = outcome;
  const score = insight ? finite(insight.sentiment_score) : 0;
  return [
    effects.toReceipts,
    effects.toMessages,
    effects.sign,
    effects.isDeleted,
    source.topic_id,
    source.topic,
    source.partition,
    source.offset,
    receipt.last,
    receipt.outcome,
    outcome.message_id,
    outcome.tenant_id,
    outcome.bot_id,
    outcome.conversation_id,
    outcome.speaker,
    outcome.text,
    timeWithin(outcome.sent_at),
    timeWithin(outcome.sent_at_original ?? outcome.sent_at),
    timeWithin(outcome.received_at),
    timeWithin(outcome.enriched_at),
    outcome.outcome,
    outcome.reason ?? '',
    outcome.revision,
    insight?.language ?? '',
    finite(insight?.language_confidence ?? 0),
    insight?.sentiment_label ?? '',
    score,
    scoreE4(score),
    insight?.intent ?? '',
    finite(insight?.intent_confidence ?? 0),
    finite(insight?.toxicity_score ?? 0),
    insight?.topics ?? [],
    within(outcome.nlp_ms, MAX_UINT32),
    latencyMs,
    within(outcome.attempts, MAX_UINT16),
    outcome.cache_hit ? 1 : 0,
    insight?.model ?? '',
    outcome.user_id ?? '',
    outcome.channel ?? '',
    outcome.bot_version ?? '',
    Object.fromEntries(outcome.metadata),
    outcome.origin.topic_id,
    outcome.origin.partition,
    outcome.origin.offset,
    place.block.topicId,
    place.block.partition,
    place.offset,
    place.block.from,
    place.block.to,
  ];
}

type Place = Parameters<typeof ingestRow>[3];

const own = (outcome: ChatOutcome): Receipt => ({
  source: outcome.source,
  last: outcome.source.offset,
  outcome: outcome.outcome,
});

/** A message's fact, receipt and rollup counts. */
export const factRow = (outcome: ChatOutcome, place: Place): IngestRow =>
  ingestRow(FIRST, outcome, own(outcome), place, latencyOf(outcome));

/** A receipt alone: the record changes nothing. */
export const duplicateRow = (outcome: ChatOutcome, place: Place): IngestRow =>
  ingestRow(RECEIPT_ONLY, outcome, { ...own(outcome), outcome: 'duplicate' }, place, 0);

/** The receipt of offsets that retention removed, or of what is left of them. */
export const gapRow = (outcome: ChatOutcome, first: number, last: number, place: Place): IngestRow =>
  ingestRow(RECEIPT_ONLY, outcome, { source: { ...outcome.source, offset: first }, last, outcome: 'gap' }, place, 0);

/** The columns that a row taken back added to the rollups, or that its sort key is made of. */
const asReplaced = (outcome: ChatOutcome, row: PresentRow): ChatOutcome => ({
  ...outcome,
  ...row,
  sent_at_original: null,
  text: '',
  metadata: new Map(),
  insight: {
    language: '',
    language_confidence: 0,
    sentiment_label: row.sentiment_label,
    sentiment_score: row.sentiment_e4 / 10_000,
    intent: '',
    intent_confidence: 0,
    toxicity_score: row.toxicity_score,
    topics: [],
    model: '',
  },
});

/**
 * An outcome that takes an earlier one's place: what the old row added to the rollups is taken back, and the new row
 * gets the old one's sort columns and origin, so that it replaces it in the table. Where the sort key is another all
 * the same (the old record could not be decoded, so nothing was known of it), the old row is hidden.
 */
export function replacementRows(outcome: ChatOutcome, old: PresentRow, place: Place): IngestRow[] {
  const taken = asReplaced(outcome, old);
  const retraction = ingestRow(RETRACTION, taken, own(outcome), place, old.latency_ms);
  const origin: Coordinates = {
    ...outcome.origin,
    topic_id: old.origin_topic_id as TopicId,
    partition: old.origin_partition,
    offset: old.origin_offset,
  };
  if (sharesSortKey(outcome, old)) {
    const { sent_at, sent_at_original } = old;
    return [retraction, factRow({ ...outcome, origin, sent_at, sent_at_original }, place)];
  }
  const hiding = ingestRow(HIDING, { ...taken, revision: outcome.revision }, own(outcome), place, old.latency_ms);
  return [retraction, hiding, factRow({ ...outcome, origin }, place)];
}
