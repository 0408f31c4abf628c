/** Other codecs for some columns of a table; what is not named keeps what the migrations gave it. */
export interface Candidate {
  readonly table: 'messages' | 'receipts';
  readonly name: string;
  readonly codecs: Readonly<Record<string, string>>;
}

const each = (columns: string, codec: string): Record<string, string> =>
  Object.fromEntries(columns.split(/\s+/).map((column) => [column, codec]));

const NAMES = 'message_id bot_id conversation_id user_id metadata topics';
const PLACES = 'origin_partition origin_offset log_partition log_offset block_from block_to';
const NUMBERS = `language_confidence sentiment_score sentiment_e4 intent_confidence toxicity_score nlp_ms latency_ms
  attempts cache_hit latency_counts`;
const OFFSETS = 'offset last_offset log_offset block_from block_to';

/** The first of a table is the table as it is, the second as it was before migration 12. */
export const CANDIDATES: readonly Candidate[] = [
  { table: 'messages', name: 'as it is', codecs: {} },
  { table: 'messages', name: 'names, places LZ4', codecs: { ...each(NAMES, 'LZ4'), ...each(PLACES, 'LZ4') } },
  { table: 'messages', name: 'names LZ4', codecs: each(NAMES, 'LZ4') },
  { table: 'messages', name: 'places LZ4', codecs: each(PLACES, 'LZ4') },
  { table: 'messages', name: 'places Delta, ZSTD(1)', codecs: each(PLACES, 'Delta, ZSTD(1)') },
  { table: 'messages', name: 'numbers ZSTD(1)', codecs: each(NUMBERS, 'ZSTD(1)') },
  { table: 'messages', name: 'text ZSTD(1)', codecs: each('text', 'ZSTD(1)') },
  { table: 'messages', name: 'text ZSTD(6)', codecs: each('text', 'ZSTD(6)') },
  { table: 'receipts', name: 'as it is', codecs: {} },
  { table: 'receipts', name: 'all LZ4', codecs: { ...each('message_id', 'LZ4'), ...each(OFFSETS, 'LZ4') } },
  { table: 'receipts', name: 'offsets LZ4', codecs: each(OFFSETS, 'LZ4') },
  { table: 'receipts', name: 'message_id LZ4', codecs: each('message_id', 'LZ4') },
];
