import { randomUUID } from 'node:crypto';
import { seededRandom } from '../../services/core/random.ts';
import { demoConversations } from '../../services/operator/demo/conversations.ts';
import type { ClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';

/** Rows of one insert: more than a block of the sink has, since merges make large parts of small ones anyway. */
const CHUNK = 20_000;
const BOTS = 50;
const USERS = 20_000;
const INTENTS = 'order_status refund complaint greeting goodbye question handover technical_help praise'.split(' ');
const LABELS = ['positive', 'neutral', 'negative'] as const;
/** Partitions of chat.events that they come from. */
const SOURCES = 12;
const DAY_MS = 86_400_000;

type Row = Readonly<Record<string, unknown>>;

/**
 * Facts of one day as the sink leaves them: conversations of the demo's generator (seven languages), ids as clients make
 * them, times, places and scores as they come. The same seed gives the same texts.
 */
function* facts(count: number): Generator<Row> {
  const random = seededRandom(7);
  const conversations = demoConversations(7);
  // Not long ago, since receipts have a time to live.
  const startMs = Date.now() - 2 * DAY_MS;
  const whole = (below: number) => Math.floor(random() * below);
  for (let n = 0; n < count; ) {
    const { value: conversation } = conversations.next();
    const source = whole(SOURCES);
    const bot = whole(BOTS);
    const conversationId = randomUUID();
    let sentMs = startMs + whole(DAY_MS - 3_600_000);
    for (const { speaker, text } of conversation.messages) {
      sentMs += 2_000 + whole(30_000);
      const [nlpMs, score] = [120 + whole(160), Math.round(random() * 2_000 - 1_000) / 1_000];
      const offset = Math.floor(((sentMs - startMs) / DAY_MS) * (count / SOURCES));
      yield {
        message_id: randomUUID(),
        tenant_id: `tenant-${bot % 5}`,
        bot_id: `bot-${bot}`,
        conversation_id: conversationId,
        speaker,
        text,
        sent_at: sentMs,
        sent_at_original: sentMs,
        received_at: sentMs + 20 + whole(40),
        enriched_at: sentMs + 80 + nlpMs,
        outcome: 'enriched',
        language: conversation.language,
        language_confidence: Math.round(random() * 1_000) / 1_000,
        sentiment_label: LABELS[whole(LABELS.length)],
        sentiment_score: score,
        sentiment_e4: Math.round(score * 10_000),
        intent: INTENTS[whole(INTENTS.length)],
        intent_confidence: Math.round(random() * 1_000) / 1_000,
        toxicity_score: Math.round(random() * 300) / 1_000,
        topics: whole(3) === 0 ? ['delivery'] : [],
        nlp_ms: nlpMs,
        latency_ms: nlpMs + 40,
        attempts: 1,
        model: 'bench-1',
        user_id: `user-${whole(USERS)}`,
        channel: 'web',
        bot_version: '1.4.2',
        metadata: { page: `/shop/${whole(40)}`, campaign: `c${whole(6)}` },
        origin_topic_id: 'codecBenchEventsTopic1',
        origin_partition: source,
        origin_offset: offset,
        log_topic_id: 'codecBenchEnriched0001',
        log_partition: source % 2,
        log_offset: offset * 6 + (source >> 1),
        block_from: offset * 6 - (offset % 1_000),
        block_to: offset * 6 - (offset % 1_000) + 1_000,
      };
      n++;
    }
  }
}

/** Fills `messages` with so many facts, and `receipts` with theirs. */
export async function storeFacts(clickhouse: ClickHouse, count: number): Promise<void> {
  for (let rows: Row[] = [], all = facts(count), done = false; !done; rows = []) {
    while (rows.length < CHUNK && !done) {
      const next = all.next();
      done = next.done === true;
      if (!next.done) rows.push(next.value);
    }
    const columns = Object.keys(rows[0] ?? {});
    if (rows.length === 0) break;
    await clickhouse.insert({
      table: 'messages',
      columns,
      rows: rows.map((row) => columns.map((column) => row[column])),
    });
  }
  await clickhouse.command(
    `INSERT INTO receipts (topic_id, topic, partition, offset, last_offset, outcome, message_id, key_crc, enriched_at,
       log_topic_id, log_partition, log_offset, block_from, block_to)
     SELECT origin_topic_id, 'chat.events', origin_partition, origin_offset, origin_offset, outcome, message_id,
       CRC32(message_id), enriched_at, log_topic_id, log_partition, log_offset, block_from, block_to FROM messages`,
  );
}
