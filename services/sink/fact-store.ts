import type { Clock } from '../core/clock.ts';
import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { literalLists, quote } from '../platform/clickhouse/sql-statements.ts';
import { type BlockId, INGEST_COLUMNS, type IngestRow } from './ingest-row.ts';
import type { MessageKey } from './message-key.ts';
import type { PresentRow } from './present-row.ts';
import { KEY_HASH_SQL } from './recent-keys.ts';
import type { BegunBlock } from './recovery.ts';

/** A stretch of source offsets that has a receipt, `first..last`. */
export interface Taken {
  readonly first: number;
  readonly last: number;
}

export interface SourcePartition {
  readonly topicId: string;
  readonly partition: number;
}

/** A verdict as it stands in `decisions`. */
export interface Decision {
  readonly log_offset: number;
  readonly verdict: 'first' | 'duplicate' | 'replace';
  readonly undecodable: 0 | 1;
  /** A {@link PresentRow} as JSON, or empty. */
  readonly replaced: string;
}

/** A window of receipts reaches back this far below the highest source offset taken. */
const WINDOW_OFFSETS = 16_384;
const MAX_REBUILD_KEYS = 2_000_000;

const tokenOf = ({ topicId, partition, from, to }: BlockId): string => `${topicId}-${partition}-${from}-${to}`;

/** Everything that the sink reads from and writes to ClickHouse. */
export class FactStore {
  readonly #client: ClickHouse;

  readonly #clock: Clock;

  constructor(client: ClickHouse, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async lastBegun(topicId: string, partition: number): Promise<BegunBlock | undefined> {
    const [row] = await this.#client.query<{ seq: number; block_from: number; block_to: number; layout: number }>(
      `SELECT seq, block_from, block_to, layout FROM blocks
       WHERE log_topic_id = {topic_id:String} AND log_partition = {partition:Int32} ORDER BY seq DESC LIMIT 1`,
      { params: { topic_id: topicId, partition } },
    );
    return (
      row && {
        seq: Number(row.seq),
        from: Number(row.block_from),
        to: Number(row.block_to),
        layout: row.layout || undefined,
      }
    );
  }

  /** Recorded before the first row of a block, so that a half-done one is known even if Kafka's commit is wiped. */
  async begin(block: BlockId & BegunBlock, rows: number): Promise<void> {
    const { topicId, partition, seq, from, to, layout } = block;
    await this.#client.insert({
      table: 'blocks',
      columns: ['log_topic_id', 'log_partition', 'seq', 'block_from', 'block_to', 'layout', 'rows', 'begun_at'],
      rows: [[topicId, partition, seq, from, to, layout ?? 0, rows, this.#clock.now()]],
      settings: { insert_deduplication_token: `begin-${tokenOf(block)}` },
    });
  }

  /** As one block under the block's token: whatever of it is in already is left alone, in each target by itself. */
  async ingest(block: BlockId, rows: readonly IngestRow[]): Promise<void> {
    await this.#client.insert({
      table: 'ingest',
      columns: INGEST_COLUMNS,
      rows,
      settings: {
        insert_deduplication_token: tokenOf(block),
        deduplicate_blocks_in_dependent_materialized_views: 1,
        input_format_parallel_parsing: 0,
        max_insert_threads: '1',
        // Tokens count per block: the whole insert must be one, whatever its size.
        max_insert_block_size: '1000000',
        min_insert_block_size_rows: '1000000',
        min_insert_block_size_bytes: String(1 << 30),
      },
    });
  }

  /** Keeps the decisions of a block; those made first win. */
  async decide(block: BlockId, decisions: readonly Decision[]): Promise<void> {
    const now = this.#clock.now();
    await this.#client.insert({
      table: 'decisions',
      columns: [
        'log_topic_id',
        'log_partition',
        'log_offset',
        'block_from',
        'block_to',
        'verdict',
        'undecodable',
        'replaced',
        'decided_at',
      ],
      rows: decisions.map(({ log_offset, verdict, undecodable, replaced }) => [
        block.topicId,
        block.partition,
        log_offset,
        block.from,
        block.to,
        verdict,
        undecodable,
        replaced,
        now,
      ]),
      settings: { insert_deduplication_token: `decisions-${tokenOf(block)}` },
    });
  }

  async decisions(block: BlockId): Promise<Decision[]> {
    const rows = await this.#client.query<Decision>(
      `SELECT log_offset, verdict, undecodable, replaced FROM decisions
       WHERE log_topic_id = {topic_id:String} AND log_partition = {partition:Int32}
         AND log_offset >= {from:Int64} AND log_offset < {to:Int64}
         AND block_from = {from:Int64} AND block_to = {to:Int64}`,
      { params: { topic_id: block.topicId, partition: block.partition, from: block.from, to: block.to } },
    );
    return rows.map((row) => ({ ...row, log_offset: Number(row.log_offset) }));
  }

  /** All receipts of the newest offsets of a source partition, from `floor` on. */
  async recentReceipts(source: SourcePartition, own: BlockId | undefined): Promise<{ floor: number; taken: Taken[] }> {
    const params = { topic_id: source.topicId, partition: source.partition };
    const where = 'topic_id = {topic_id:String} AND partition = {partition:Int32}';
    const [top] = await this.#client.query<{ top: number }>(
      `SELECT max(last_offset) AS top FROM receipts WHERE ${where}`,
      { params },
    );
    const floor = Math.max(0, Number(top?.top ?? 0) - WINDOW_OFFSETS + 1);
    // The second half finds gaps that begin below the window and reach into it.
    const rows = await this.#client.query<Taken>(
      `SELECT offset AS first, last_offset AS last FROM receipts
       WHERE ${where} AND offset >= {floor:Int64}${notOwn(own)}
       UNION ALL
       SELECT offset AS first, last_offset AS last FROM receipts
       WHERE ${where} AND offset < {floor:Int64} AND outcome = 'gap' AND last_offset >= {floor:Int64}${notOwn(own)}`,
      { params: { ...params, floor } },
    );
    return { floor, taken: rows.map(toTaken) };
  }

  /** Which of these offsets have a receipt. */
  async receiptsOf(source: SourcePartition, offsets: readonly number[], own: BlockId | undefined): Promise<Taken[]> {
    const params = {
      topic_id: source.topicId,
      partition: source.partition,
      low: offsets.reduce((a, b) => Math.min(a, b)),
      high: offsets.reduce((a, b) => Math.max(a, b)),
    };
    const found: Taken[] = [];
    for (const list of literalLists(offsets.map(String))) {
      const rows = await this.#client.query<Taken>(
        `SELECT offset AS first, last_offset AS last FROM receipts
         WHERE topic_id = {topic_id:String} AND partition = {partition:Int32} AND offset IN (${list})${notOwn(own)}
         UNION ALL
         SELECT offset AS first, last_offset AS last FROM receipts
         WHERE topic_id = {topic_id:String} AND partition = {partition:Int32} AND outcome = 'gap'
           AND offset <= {high:Int64} AND last_offset >= {low:Int64}${notOwn(own)}`,
        { params },
      );
      found.push(...rows.map(toTaken));
    }
    return found;
  }

  /** Receipts that touch `first..last`. */
  async receiptsWithin(source: SourcePartition, range: Taken, own: BlockId | undefined): Promise<Taken[]> {
    const rows = await this.#client.query<Taken>(
      `SELECT offset AS first, last_offset AS last FROM receipts
       WHERE topic_id = {topic_id:String} AND partition = {partition:Int32} AND offset <= {last:Int64}
         AND last_offset >= {first:Int64}${notOwn(own)}
       ORDER BY first`,
      { params: { topic_id: source.topicId, partition: source.partition, ...range } },
    );
    return rows.map(toTaken);
  }

  /** All rows of these messages, older revisions too; those that the block itself brought in are left out. */
  async rowsOf(keys: readonly MessageKey[], own: BlockId): Promise<PresentRow[]> {
    const found: PresentRow[] = [];
    const literals = keys.map(
      (key) => `(${quote(key.tenant_id)},${quote(key.bot_id)},${quote(key.conversation_id)},${quote(key.message_id)})`,
    );
    for (const list of literalLists(literals)) {
      const rows = await this.#client.query<PresentRow>(
        `SELECT tenant_id, bot_id, conversation_id, message_id, outcome, revision, sentiment_label, sentiment_e4,
           toxicity_score, latency_ms, origin_topic_id, origin_partition, origin_offset,
           toUnixTimestamp64Milli(messages.sent_at) AS sent_at,
           toUnixTimestamp64Milli(messages.sent_at_original) AS sent_at_original
         FROM messages
         WHERE (tenant_id, bot_id, conversation_id, message_id) IN (${list}) AND is_deleted = 0${notOwn(own)}`,
      );
      found.push(...rows);
    }
    return found;
  }

  /** Hashes of the message keys that came in during the last `windowMs` of a partition's own time. */
  async recentKeyHashes(topicId: string, partition: number, windowMs: number): Promise<number[]> {
    const here = 'log_topic_id = {topic_id:String} AND log_partition = {partition:Int32}';
    // The log keeps 7 days and sent_at is at most a day older: two more table partitions at the most are read.
    const recent = `sent_at > now64(3) - INTERVAL 9 DAY AND ${here}`;
    const [row] = await this.#client.query<{ hashes: number[] }>(
      `SELECT groupArray(${MAX_REBUILD_KEYS})(${KEY_HASH_SQL}) AS hashes FROM messages
       WHERE ${recent} AND enriched_at > (SELECT max(enriched_at) FROM messages WHERE ${recent})
         - toIntervalMillisecond({window_ms:UInt64})`,
      { params: { topic_id: topicId, partition, window_ms: windowMs } },
    );
    return row?.hashes ?? [];
  }
}

const toTaken = ({ first, last }: Taken): Taken => ({ first: Number(first), last: Number(last) });

/** A block that is replayed looks past what it wrote itself the first time. */
const notOwn = (own: BlockId | undefined): string =>
  own
    ? ` AND NOT (log_topic_id = ${quote(own.topicId)} AND log_partition = ${own.partition}` +
      ` AND block_from = ${own.from} AND block_to = ${own.to})`
    : '';
