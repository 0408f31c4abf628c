import { ParleyError } from '../core/errors.ts';
import { keyCrc } from '../core/message-key.ts';
import type { Claim } from '../platform/kafka/consume/claim.ts';
import { sendDeadLetter } from '../platform/kafka/produce/dead-letter.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import type { Logger } from '../platform/logger.ts';
import { REPLY_TO_HEADER } from '../platform/record-headers.ts';
import { sampledContext } from '../platform/tracing/trace-context.ts';
import { type BlockPlan, decisionsOf, planBlock, type Replayed, rowsOf, underDecisions } from './block-plan.ts';
import { BlockReader } from './block-reader.ts';
import type { BlockId } from './ingest-row.ts';
import type { LogEntry } from './log-entry.ts';
import { ReceiptBook } from './receipt-book.ts';
import { RecentKeys } from './recent-keys.ts';
import type { Layout, Replay } from './recovery.ts';
import type { SinkDeps } from './sink-deps.ts';
import type { StepRetry } from './step-retry.ts';

/** One small query for all blocks of this time, where each block paid for one. */
const CHECK_EVERY_MS = 10_000;

type Headers = Readonly<Record<string, Buffer>>;

/** What ClickHouse knew of a partition when it was opened. */
export interface KnownBefore {
  /** Number of the last block begun; 0 where none was. */
  readonly seq: number;
  /** By which the commit found at the assignment was made. */
  readonly layout: Layout;
}

export interface WriterOptions {
  readonly claim: Claim;
  readonly known: KnownBefore;
  readonly deps: SinkDeps;
  readonly steps: StepRetry;
  readonly log: Logger;
  /** Commits the start of a block with its intent. */
  readonly commitIntent: (block: BlockId) => Promise<void>;
}

/** A block that is in. */
export interface WrittenBlock {
  readonly plan: BlockPlan;
  readonly entries: readonly LogEntry[];
  /** Rows inserted; 0 where the block had none. */
  readonly rows: number;
}

/**
 * The steps of one block [a, b), in this order: read it; plan it; dead-letter what is no outcome; commit offset a with
 * the intent "next: b" (which also closes the block before); record what was decided about it; record that it is begun;
 * insert it under its token, until ClickHouse has it. Every step can be done again, and is, under the same token.
 */
export class BlockWriter {
  readonly #options: WriterOptions;
  readonly #reader: BlockReader;
  readonly #book: ReceiptBook;
  readonly #recentKeys: RecentKeys;
  #seq: number;
  /** The block that ClickHouse must still know at the next check. */
  #checkedSeq: number;
  #checkedAtMs: number;

  constructor(options: WriterOptions) {
    const { claim, known, deps } = options;
    const { topic, topicId, partition } = claim;
    this.#options = options;
    this.#seq = known.seq;
    this.#reader = new BlockReader(deps.decode, { topic, topicId, partition });
    this.#book = new ReceiptBook(deps.store);
    this.#recentKeys = new RecentKeys(deps.clock, deps.limits.duplicateWindowMs, deps.store.lateKeys);
    this.#checkedSeq = known.seq;
    this.#checkedAtMs = deps.clock.monotonicMs();
  }

  /** Reads records until a block has its fill: there may be fewer entries than records. */
  read(records: readonly FetchedRecord[]): Promise<LogEntry[]> {
    const { steps, deps } = this.#options;
    return steps.run('decode', () => this.#reader.read(records, deps.layout.partitions));
  }

  /** Inserts a new block. */
  async write(block: BlockId, entries: readonly LogEntry[]): Promise<WrittenBlock> {
    await this.#passOn(entries);
    const plan = await this.#plan(block, entries, undefined);
    await this.#sendDeadLetters(plan, entries, new Set());
    return this.#close(await this.#carryOut(plan, undefined), entries);
  }

  /** Inserts a block of before, with the very bounds and decisions it had, under its token. */
  async writeAgain(
    block: BlockId,
    { begun, layout }: Replay,
    records: readonly FetchedRecord[],
  ): Promise<WrittenBlock> {
    const { steps, deps } = this.#options;
    const decisions = await steps.run('read', () => deps.store.decisions(block));
    const undecodable = new Set(decisions.filter((each) => each.undecodable).map((each) => each.log_offset));
    const entries = await steps.run('decode', () => this.#reader.readAgain(records, layout, undecodable));
    await this.#passOn(entries);
    const plan = await this.#plan(block, entries, { begun, decisions });
    await this.#sendDeadLetters(plan, entries, undecodable);
    return this.#close(await this.#carryOut(plan, { begun, decisions, layout }), entries);
  }

  #plan(block: BlockId, entries: readonly LogEntry[], replayed: Replayed | undefined): Promise<BlockPlan> {
    const planner = { store: this.#options.deps.store, book: this.#book, recentKeys: this.#recentKeys };
    return this.#options.steps.run('plan', () => planBlock(planner, block, entries, replayed));
  }

  /** From here on the block has its bounds for good; nothing of it is in before its intent is committed. */
  async #carryOut(
    planned: BlockPlan,
    replayed: (Replayed & { readonly layout: Layout }) | undefined,
  ): Promise<{ readonly plan: BlockPlan; readonly rows: number }> {
    const { deps, steps, log, commitIntent } = this.#options;
    const { store, metrics, cadence, clock } = deps;
    let plan = planned;
    const { block } = plan;
    if (plan.judged.length === 0 && plan.gaps.length === 0) return { plan, rows: 0 };
    if (!replayed) await commitIntent(block);
    const decisions = decisionsOf(plan);
    if (decisions.length > 0 && !replayed?.decisions.length) {
      await steps.run('decide', () => store.decide(block, decisions));
      const recorded = await steps.run('read', () => store.decisions(block));
      plan = underDecisions(plan, recorded);
    }
    const rows = rowsOf(plan, replayed?.begun === true && replayed.layout === undefined);
    if (!replayed?.begun) {
      const seq = ++this.#seq;
      await steps.run('begin', () =>
        store.begin({ ...block, seq, layout: replayed ? replayed.layout : deps.layout.partitions }, rows.length),
      );
    }
    const startedMs = clock.monotonicMs();
    // A slot for one try alone: a block that cannot go in holds up its own partition.
    await steps.run('ingest', (failures) => deps.slots.run(failures, () => store.ingest(block, rows)));
    const tookMs = clock.monotonicMs() - startedMs;
    cadence.observe(tookMs);
    metrics.insertSeconds.observe(tookMs / 1_000);
    metrics.blocks.inc({ kind: replayed ? 'replayed' : 'live' });
    metrics.rows.inc(rows.length);
    log.debug({ from: block.from, to: block.to, rows: rows.length, took_ms: tookMs }, 'block inserted');
    return { plan, rows: rows.length };
  }

  /** How long until {@link assertStoreIsWhole} is due; for ever while nothing has been inserted since the last time. */
  get checkDueInMs(): number {
    if (this.#checkedSeq === this.#seq) return Number.POSITIVE_INFINITY;
    return this.#checkedAtMs + CHECK_EVERY_MS - this.#options.deps.clock.monotonicMs();
  }

  /**
   * A ClickHouse that was emptied under a running sink would take new rows and never miss the old. Whoever opens the
   * partition next sees by the first block on record that those before it are gone.
   *
   * @throws {ParleyError} CLICKHOUSE_BEHIND
   */
  async assertStoreIsWhole(): Promise<void> {
    const { claim, deps, steps } = this.#options;
    const { topicId, partition } = claim;
    const seq = this.#seq;
    const known = this.#checkedSeq;
    // A history that was empty at the opening begins with block number 1, whichever is the newest by now.
    const oldest = Math.max(known, 1);
    const isThere = await steps.run('read', () => deps.store.isBegun(topicId, partition, oldest));
    if (!isThere) throw new ParleyError('CLICKHOUSE_BEHIND', `partition ${partition}: block number ${oldest} is gone`);
    this.#checkedSeq = seq;
    this.#checkedAtMs = deps.clock.monotonicMs();
  }

  /** The block is in: its receipts and keys count from now on. */
  #close({ plan, rows }: { plan: BlockPlan; rows: number }, entries: readonly LogEntry[]): WrittenBlock {
    const { dropped, replaced } = this.#options.deps.metrics;
    this.#book.close(plan.receipts);
    for (const { outcome, verdict } of plan.judged) {
      this.#recentKeys.add(keyCrc(outcome));
      if (verdict.kind === 'duplicate') dropped.inc({ kind: 'duplicate' });
      if (verdict.kind === 'replace') replaced.inc();
    }
    if (plan.repeats > 0) dropped.inc({ kind: 'repeat' }, plan.repeats);
    dropped.inc({ kind: 'provisional' }, entries.filter(({ kind }) => kind === 'provisional').length);
    return { plan, entries, rows };
  }

  /**
   * Acked before the block's end is committed, so that no outcome is left behind; twice where a sink ends in between,
   * and the second has a receipt then. The bot has had its insight from this record: the copy is not for the gateways.
   */
  async #passOn(entries: readonly LogEntry[]): Promise<void> {
    const { claim, deps, steps, log } = this.#options;
    const misplaced = entries.filter((entry) => entry.kind === 'misplaced');
    if (misplaced.length === 0) return;
    await steps.run('pass_on', () =>
      Promise.all(
        misplaced.map(({ record: { key, value, headers }, home }) => {
          const { [REPLY_TO_HEADER]: _, ...rest } = headers;
          return deps.produce({ topic: claim.topic, partition: home, key, value, headers: rest as Headers });
        }),
      ),
    );
    deps.metrics.passedOn.inc(misplaced.length);
    log.info({ records: misplaced.length }, 'outcomes of an earlier partition count are passed on');
  }

  /** Acked before the block is begun, so before the receipt and the commit: a record with a receipt is there already. */
  async #sendDeadLetters(
    { judged }: BlockPlan,
    entries: readonly LogEntry[],
    sentBefore: ReadonlySet<number>,
  ): Promise<void> {
    const { deps, steps, log } = this.#options;
    const fresh = new Set(judged.map(({ offset }) => offset));
    for (const entry of entries) {
      if (entry.kind !== 'undecodable' || sentBefore.has(entry.offset)) continue;
      if (entry.standIn && !fresh.has(entry.offset)) continue;
      const receipt = entry.standIn !== undefined;
      const trace = sampledContext(entry.record.headers);
      const fields = {
        code: 'outcome_undecodable',
        offset: entry.offset,
        detail: entry.detail,
        receipt,
        ...(trace && { trace_id: trace.traceId }),
      };
      log[receipt ? 'warn' : 'error'](fields, 'a record of the log is no outcome and is dead-lettered');
      await steps.run('dead_letter', () =>
        sendDeadLetter(deps.produce, this.#reader.deadLetterOf(entry, deps.dlqTopic)),
      );
      deps.metrics.undecodable.inc({ receipt: String(receipt) });
    }
  }
}
