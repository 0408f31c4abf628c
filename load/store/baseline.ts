import type { ChatOutcome } from '../../services/core/records.ts';
import type { ClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { outcomeNumber } from './outcomes.ts';
import type { Rate } from './readings.ts';

/** The columns of `ingest`, as the sink fills them for a first row; a copy on purpose: the baseline shares nothing with it. */
const row = (o: ChatOutcome, n: number): Record<string, unknown> => ({
  to_receipts: 1,
  to_messages: 1,
  sign: 1,
  rollups: 1,
  latency_counts: 1,
  topic_id: o.source.topic_id,
  topic: o.source.topic,
  partition: o.source.partition,
  offset: o.source.offset,
  last_offset: o.source.offset,
  receipt_outcome: o.outcome,
  message_id: o.message_id,
  tenant_id: o.tenant_id,
  bot_id: o.bot_id,
  conversation_id: o.conversation_id,
  speaker: o.speaker,
  text: o.text,
  sent_at: o.sent_at,
  sent_at_original: o.sent_at,
  received_at: o.received_at,
  enriched_at: o.enriched_at,
  outcome: o.outcome,
  language: o.insight?.language,
  language_confidence: o.insight?.language_confidence,
  sentiment_label: o.insight?.sentiment_label,
  sentiment_score: o.insight?.sentiment_score,
  sentiment_e4: Math.round((o.insight?.sentiment_score ?? 0) * 10_000),
  intent: o.insight?.intent,
  intent_confidence: o.insight?.intent_confidence,
  toxicity_score: o.insight?.toxicity_score,
  topics: o.insight?.topics,
  nlp_ms: o.nlp_ms,
  latency_ms: o.enriched_at - o.received_at,
  attempts: o.attempts,
  model: o.insight?.model,
  user_id: o.user_id,
  channel: o.channel,
  bot_version: o.bot_version,
  metadata: Object.fromEntries(o.metadata),
  origin_topic_id: o.origin.topic_id,
  origin_partition: o.origin.partition,
  origin_offset: o.origin.offset,
  log_topic_id: 'storeBenchBaselineTop1',
  log_offset: n,
});

/**
 * The least that storing can cost: the same rows into the same tables, one insert a second, nothing else. No Kafka, no
 * token, no record of the block.
 */
export async function runBaseline(clickhouse: ClickHouse, { perS, seconds }: Rate): Promise<void> {
  let n = 0;
  for (let second = 1; second <= seconds; second++) {
    const due = performance.now() + 1_000;
    const rows = Array.from({ length: perS }, () => row(outcomeNumber(n, Date.now()), n++));
    const columns = Object.keys(rows[0] ?? {});
    await clickhouse.insert({
      table: 'ingest',
      columns,
      rows: rows.map((each) => columns.map((column) => each[column])),
      settings: { max_insert_block_size: '1000000', min_insert_block_size_rows: '1000000' },
    });
    await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
  }
}
