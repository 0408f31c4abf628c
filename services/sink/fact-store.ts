import type { Clock } from '../core/clock.ts';
import type { ChatOutcome } from '../core/records.ts';
import { type ClickHouse, clickHouseErrorCode } from '../platform/clickhouse/clickhouse.ts';
import { ErasureList, isOutdated } from '../platform/clickhouse/erasure-list.ts';
import { withoutErased } from './erased-rows.ts';
import { type BlockId, INGEST_COLUMNS, type IngestRow } from './ingest-row.ts';
import { presentRows } from './present-row-queries.ts';
import {
  lateKeys,
  receiptsOf,
  receiptsWithin,
  recentReceipts,
  type SourcePartition,
  type Taken,
} from './receipt-queries.ts';
import type { BegunBlock, FirstBegun } from './recovery.ts';

/** A verdict as it stands in `decisions`. */
export interface Decision {
  readonly log_offset: number;
  readonly verdict: 'first' | 'duplicate' | 'replace';
  readonly undecodable: 0 | 1;
  /** A {@link PresentRow} as JSON, or empty. */
  readonly replaced: string;
}

/**
 * A sink whose ClickHouse was emptied goes on for 10 s at most before it looks, five blocks a second: the block that was
 * then begun at the log's start again is among so many.
 */
const FIRST_BLOCKS = 1_000;

/** Each erasure that begins or ends meanwhile costs one. */
const ERASURE_ATTEMPTS = 5;

const tokenOf = ({ topicId, partition, from, to }: BlockId): string => `${topicId}-${partition}-${from}-${to}`;

/** Everything that the sink reads from and writes to ClickHouse. */
export class FactStore {
  readonly #client: ClickHouse;

  readonly #clock: Clock;
  /** As they were read last; undefined where they have to be read again. */
  #erasures: Promise<ErasureList> | undefined;

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

  /** The first block on record; the table keeps them for 400 days. */
  async firstBegun(topicId: string, partition: number): Promise<FirstBegun | undefined> {
    const [row] = await this.#client.query<{ first: number; lowest: number; age_s: number }>(
      `SELECT min(seq) AS first, min(block_from) AS lowest, dateDiff('second', min(begun_at), now64(3)) AS age_s FROM (
         SELECT seq, block_from, begun_at FROM blocks
         WHERE log_topic_id = {topic_id:String} AND log_partition = {partition:Int32} ORDER BY seq LIMIT {blocks:UInt32}
       ) HAVING count() > 0`,
      { params: { topic_id: topicId, partition, blocks: FIRST_BLOCKS } },
    );
    return row && { seq: Number(row.first), lowest: Number(row.lowest), ageS: Number(row.age_s) };
  }

  /** Whether a block of this number is on record. */
  async isBegun(topicId: string, partition: number, seq: number): Promise<boolean> {
    const rows = await this.#client.query(
      `SELECT 1 FROM blocks WHERE log_topic_id = {topic_id:String} AND log_partition = {partition:Int32}
         AND seq = {seq:UInt64} LIMIT 1`,
      { params: { topic_id: topicId, partition, seq } },
    );
    return rows.length > 0;
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

  /**
   * As one block under the block's token: whatever of it is in already is left alone, in each target by itself. Words that
   * are erased are left out. Erasures are read when ClickHouse refuses the block for one that is not known here.
   */
  async ingest(block: BlockId, rows: readonly IngestRow[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.#erasures ??= ErasureList.read(this.#client);
      try {
        const erasures = await this.#erasures;
        return await this.#ingest(block, withoutErased(rows, erasures));
      } catch (error) {
        this.#erasures = undefined;
        if (attempt === ERASURE_ATTEMPTS || !isOutdated(clickHouseErrorCode(error))) throw error;
      }
    }
  }

  async #ingest(block: BlockId, rows: readonly IngestRow[]): Promise<void> {
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

  recentReceipts = (source: SourcePartition, own: BlockId | undefined) => recentReceipts(this.#client, source, own);
  receiptsOf = (source: SourcePartition, offsets: readonly number[], own: BlockId | undefined) =>
    receiptsOf(this.#client, source, offsets, own);
  receiptsWithin = (source: SourcePartition, range: Taken, own: BlockId | undefined) =>
    receiptsWithin(this.#client, source, range, own);
  lateKeys = (source: SourcePartition, windowMs: number) => lateKeys(this.#client, source, windowMs);
  presentRows = (outcomes: readonly ChatOutcome[], own: BlockId) => presentRows(this.#client, outcomes, own);
}
