import type { TopicId } from '../../core/brands.ts';
import { systemClock } from '../../core/clock.ts';
import type { ChatOutcome } from '../../core/records.ts';
import type { ClickHouse } from '../../platform/clickhouse/clickhouse.ts';
import { decisionsOf, planBlock, rowsOf } from '../block-plan.ts';
import { FactStore } from '../fact-store.ts';
import type { BlockId } from '../ingest-row.ts';
import type { LogEntry } from '../log-entry.ts';
import { ReceiptBook } from '../receipt-book.ts';
import { RecentKeys } from '../recent-keys.ts';

const LOG_ID = 'testEnrichedTopicId001' as TopicId;

export const VIEWS = [
  'ingest_to_messages',
  'ingest_to_receipts',
  'ingest_to_message_keys',
  'ingest_to_rollup_sums',
  'ingest_to_rollup_conversations',
];

export const blockOf = (from: number, to: number, partition = 0): BlockId => ({
  topicId: LOG_ID,
  partition,
  from,
  to,
});
export const entriesOf = (outcomes: readonly ChatOutcome[], from = 0): LogEntry[] =>
  outcomes.map((outcome, index) => ({ kind: 'outcome', offset: from + index, outcome }));

/** Inserts blocks as a sink does, without Kafka: by a planner that knows nothing but what ClickHouse has. */
export class BlockInserts {
  readonly store: FactStore;
  readonly #clickhouse: ClickHouse;

  constructor(clickhouse: ClickHouse) {
    this.#clickhouse = clickhouse;
    this.store = new FactStore(clickhouse, systemClock);
  }

  /** One try to insert a block, as a sink would after a crash. */
  async insert(block: BlockId, entries: readonly LogEntry[], begun: boolean): Promise<void> {
    const { store } = this;
    const planner = {
      store,
      book: new ReceiptBook(store),
      recentKeys: new RecentKeys(systemClock, 60_000, store.lateKeys),
    };
    const plan = await planBlock(planner, block, entries, { begun, decisions: await store.decisions(block) });
    const decisions = decisionsOf(plan);
    if (decisions.length > 0) await store.decide(block, decisions);
    await store.ingest(block, rowsOf(plan));
  }

  /**
   * Inserts a block as a process that dies half-way leaves it: only some targets have it. Targets commit one after
   * another at the end of an insert, and only a crash comes between them, so the others' views are taken away meanwhile.
   */
  async insertWithout(views: readonly string[], block: BlockId, entries: readonly LogEntry[]): Promise<void> {
    for (const view of views) await this.#clickhouse.command(`DETACH TABLE ${view}`);
    await this.insert(block, entries, false);
    for (const view of views) await this.#clickhouse.command(`ATTACH TABLE ${view}`);
  }
}
