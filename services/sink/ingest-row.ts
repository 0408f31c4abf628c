import type { TopicId } from '../core/brands.ts';
import type { ChatOutcome, Coordinates } from '../core/records.ts';
import type { ReceiptOutcome } from '../core/wire-codes.ts';
import { finite, latencyOf, MAX_UINT16, MAX_UINT32, scoreE4, timeWithin, within } from './clamps.ts';
import { type PresentRow, sharesSortKey } from './present-row.ts';
import type { Bounds } from './recovery.ts';

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

/** Where the row's record stands in chat.enriched. */
export interface Place {
  readonly block: BlockId;
  readonly offset: number;
  /** The block was begun by a version that counted elsewhere (migration 5): it is completed the way it was begun. */
  readonly isLegacy: boolean;
}

/** The latency of a message's first answer, and whether it counts: a message first stored by a replay has none. */
interface Latency {
  readonly ms: number;
  readonly counts: 0 | 1;
}

const NO_LATENCY: Latency = { ms: 0, counts: 0 };
const latencyIn = (outcome: ChatOutcome): Latency => ({
  ms: latencyOf(outcome),
  counts: outcome.revision === 0 ? 1 : 0,
});
/** A row of before migration 5 does not say whether its latency counts. */
const latencyKept = ({ latency_ms: ms, latency_counts, revision }: PresentRow): Latency => ({
  ms,
  counts: latency_counts ?? (revision === 0 ? 1 : 0),
});

interface Receipt {
  readonly source: Coordinates;
  readonly last: number;
  readonly outcome: ReceiptOutcome | string;
}

/** All that the columns of one row are made of. */
interface Cells {
  readonly effects: Effects;
  readonly outcome: ChatOutcome;
  readonly insight: ChatOutcome['insight'];
  readonly receipt: Receipt;
  readonly place: Place;
  readonly latency: Latency;
}

/** The columns of `ingest` and what stands in each. */
const INGEST: readonly (readonly [column: string, value: (cells: Cells) => unknown])[] = [
  ['to_receipts', ({ effects }) => effects.toReceipts],
  ['to_messages', ({ effects }) => effects.toMessages],
  ['sign', ({ effects }) => effects.sign],
  ['is_deleted', ({ effects }) => effects.isDeleted],
  ['topic_id', ({ receipt }) => receipt.source.topic_id],
  ['topic', ({ receipt }) => receipt.source.topic],
  ['partition', ({ receipt }) => receipt.source.partition],
  ['offset', ({ receipt }) => receipt.source.offset],
  ['last_offset', ({ receipt }) => receipt.last],
  ['receipt_outcome', ({ receipt }) => receipt.outcome],
  ['message_id', ({ outcome }) => outcome.message_id],
  ['tenant_id', ({ outcome }) => outcome.tenant_id],
  ['bot_id', ({ outcome }) => outcome.bot_id],
  ['conversation_id', ({ outcome }) => outcome.conversation_id],
  ['speaker', ({ outcome }) => outcome.speaker],
  ['text', ({ outcome }) => outcome.text],
  ['sent_at', ({ outcome }) => timeWithin(outcome.sent_at)],
  ['sent_at_original', ({ outcome }) => timeWithin(outcome.sent_at_original ?? outcome.sent_at)],
  ['received_at', ({ outcome }) => timeWithin(outcome.received_at)],
  ['enriched_at', ({ outcome }) => timeWithin(outcome.enriched_at)],
  ['outcome', ({ outcome }) => outcome.outcome],
  ['reason', ({ outcome }) => outcome.reason ?? ''],
  ['revision', ({ outcome }) => outcome.revision],
  ['language', ({ insight }) => insight?.language ?? ''],
  ['language_confidence', ({ insight }) => finite(insight?.language_confidence ?? 0)],
  ['sentiment_label', ({ insight }) => insight?.sentiment_label ?? ''],
  ['sentiment_score', ({ insight }) => finite(insight?.sentiment_score ?? 0)],
  ['sentiment_e4', ({ insight }) => scoreE4(insight?.sentiment_score ?? 0)],
  ['intent', ({ insight }) => insight?.intent ?? ''],
  ['intent_confidence', ({ insight }) => finite(insight?.intent_confidence ?? 0)],
  ['toxicity_score', ({ insight }) => finite(insight?.toxicity_score ?? 0)],
  ['topics', ({ insight }) => insight?.topics ?? []],
  ['nlp_ms', ({ outcome }) => within(outcome.nlp_ms, MAX_UINT32)],
  ['latency_ms', ({ latency }) => latency.ms],
  ['latency_counts', ({ latency }) => latency.counts],
  ['attempts', ({ outcome }) => within(outcome.attempts, MAX_UINT16)],
  ['cache_hit', ({ outcome }) => (outcome.cache_hit ? 1 : 0)],
  ['model', ({ insight }) => insight?.model ?? ''],
  ['user_id', ({ outcome }) => outcome.user_id ?? ''],
  ['channel', ({ outcome }) => outcome.channel ?? ''],
  ['bot_version', ({ outcome }) => outcome.bot_version ?? ''],
  ['metadata', ({ outcome }) => Object.fromEntries(outcome.metadata)],
  ['origin_topic_id', ({ outcome }) => outcome.origin.topic_id],
  ['origin_partition', ({ outcome }) => outcome.origin.partition],
  ['origin_offset', ({ outcome }) => outcome.origin.offset],
  ['log_topic_id', ({ place }) => place.block.topicId],
  ['log_partition', ({ place }) => place.block.partition],
  ['log_offset', ({ place }) => place.offset],
  ['block_from', ({ place }) => place.block.from],
  ['block_to', ({ place }) => place.block.to],
  ['rollups', ({ place }) => (place.isLegacy ? 0 : 1)],
  // Set when the row is sent: `erased-rows.ts`.
  ['known_erasures', () => 0],
];

/** Names of the columns, in the order of every row made here. */
export const INGEST_COLUMNS: readonly string[] = INGEST.map(([column]) => column);

function ingestRow(
  effects: Effects,
  outcome: ChatOutcome,
  receipt: Receipt,
  place: Place,
  latency: Latency,
): IngestRow {
  const cells = { effects, outcome, insight: outcome.insight, receipt, place, latency };
  return INGEST.map(([, value]) => value(cells));
}

const own = (outcome: ChatOutcome): Receipt => ({
  source: outcome.source,
  last: outcome.source.offset,
  outcome: outcome.outcome,
});

/** A message's fact, receipt and rollup counts. */
export const factRow = (outcome: ChatOutcome, place: Place): IngestRow =>
  ingestRow(FIRST, outcome, own(outcome), place, latencyIn(outcome));

/** A receipt alone: the record changes nothing. */
export const duplicateRow = (outcome: ChatOutcome, place: Place): IngestRow =>
  ingestRow(RECEIPT_ONLY, outcome, { ...own(outcome), outcome: 'duplicate' }, place, NO_LATENCY);

/** The receipt of offsets that retention removed, or of what is left of them. */
export const gapRow = (outcome: ChatOutcome, first: number, last: number, place: Place): IngestRow =>
  ingestRow(
    RECEIPT_ONLY,
    outcome,
    { source: { ...outcome.source, offset: first }, last, outcome: 'gap' },
    place,
    NO_LATENCY,
  );

/** The columns that a row taken back added to the rollups, or that its sort key is made of, and nothing that was said. */
const asReplaced = (outcome: ChatOutcome, row: PresentRow): ChatOutcome => ({
  ...outcome,
  ...row,
  sent_at_original: null,
  text: '',
  user_id: null,
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
  const latency = latencyKept(old);
  const retraction = ingestRow(RETRACTION, taken, own(outcome), place, latency);
  // The first answer's latency goes with the message: a replay, hours later, must not move a percentile.
  const kept = place.isLegacy || latency.counts === 0 ? latencyIn(outcome) : latency;
  const fact = (replacing: ChatOutcome) => ingestRow(FIRST, replacing, own(replacing), place, kept);
  const origin: Coordinates = {
    ...outcome.origin,
    topic_id: old.origin_topic_id as TopicId,
    partition: old.origin_partition,
    offset: old.origin_offset,
  };
  if (sharesSortKey(outcome, old)) {
    const { sent_at, sent_at_original } = old;
    return [retraction, fact({ ...outcome, origin, sent_at, sent_at_original })];
  }
  const hiding = ingestRow(HIDING, { ...taken, revision: outcome.revision }, own(outcome), place, latency);
  return [retraction, hiding, fact({ ...outcome, origin })];
}
