import { messageOf, ParleyError } from '../core/errors.ts';
import { clickHouseErrorCode } from '../platform/clickhouse/clickhouse.ts';
import { type Claim, ClaimLostError, type PartitionHandler } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import type { Logger } from '../platform/logger.ts';
import { sampledContext } from '../platform/tracing/trace-context.ts';
import { Intake } from './block-buffer.ts';
import { type BlockPlan, decisionsOf, planBlock, type Replayed, rowsOf, underDecisions } from './block-plan.ts';
import { BlockReader } from './block-reader.ts';
import { BlockTraces } from './block-traces.ts';
import type { BlockId } from './ingest-row.ts';
import { encodeCommit } from './intent.ts';
import type { LogEntry } from './log-entry.ts';
import { ReceiptBook } from './receipt-book.ts';
import { hashOf, RecentKeys } from './recent-keys.ts';
import type { Bounds, Recovery, Replay } from './recovery.ts';
import type { SinkDeps } from './sink-deps.ts';
import { WakeUp } from './wake-up.ts';

type State =
  | { readonly kind: 'replaying'; readonly block: Replay }
  /** Records gather until a block is due; everything below `#next` is in. */
  | { readonly kind: 'gathering' }
  | { readonly kind: 'inserting'; readonly block: Bounds }
  | { readonly kind: 'released' };

const MAX_RETRY_DELAY_MS = 5_000;
/** UNKNOWN_TABLE and UNKNOWN_DATABASE: no retry makes a table, the migrations of a start do. */
const MISSING = new Set([60, 81]);
/** Blocks without a row are closed without a commit each; after a crash at most so many are read again. */
const MAX_UNCOMMITTED_BLOCKS = 10;

/**
 * The sink of one claimed partition, block after block (design §4.2):
 *
 *     replaying ──▶ gathering ──due──▶ inserting ──▶ gathering …        any ──claim lost──▶ released
 *
 * One block [a, b): plan it; commit offset a with the intent "next: b" (which also closes the block before); record
 * what was decided about it; record that it is begun; insert it under its token, for ever, until ClickHouse has it.
 * Every step can be done again, and is, under the same token; a claim that is lost stops it anywhere.
 */
export class PartitionSink implements PartitionHandler {
  readonly startAt: number;
  readonly #claim: Claim;
  readonly #deps: SinkDeps;
  readonly #log: Logger;
  readonly #recovery: Recovery;
  readonly #reader: BlockReader;
  readonly #book: ReceiptBook;
  readonly #recentKeys: RecentKeys;
  readonly #traces: BlockTraces | undefined;
  readonly #wakeUp = new WakeUp();
  readonly intake: Intake;
  #state: State = { kind: 'gathering' };
  #seq: number;
  /** Where the next block begins: everything below is in ClickHouse. */
  #next: number;
  /** What Kafka was told last, and how many blocks ago. */
  #closedAt: number | undefined;
  #uncommittedBlocks = 0;
  #flushing = false;
  #toldRebuilt = false;
  #onIdle: (() => void)[] = [];

  constructor(claim: Claim, recovery: Recovery, lastSeq: number, recentHashes: readonly number[], deps: SinkDeps) {
    const { topic, topicId, partition } = claim;
    this.#claim = claim;
    this.#deps = deps;
    this.#log = deps.log.child({ topic, topic_id: topicId, partition });
    this.#recovery = recovery;
    this.#seq = lastSeq;
    this.#next = recovery.resumeAt;
    this.#closedAt = recovery.isClosed ? recovery.resumeAt : undefined;
    this.startAt = recovery.replays[0]?.from ?? recovery.resumeAt;
    this.#reader = new BlockReader(deps.decode, { topic, topicId, partition });
    this.#book = new ReceiptBook(deps.store, partition);
    this.#recentKeys = new RecentKeys(deps.clock, deps.limits.duplicateWindowMs);
    for (const hash of recentHashes) this.#recentKeys.add(hash);
    const { tracing, clock } = deps;
    this.#traces = tracing && new BlockTraces(tracing.tracer, tracing.group, claim, clock);
    this.intake = new Intake(claim, deps.limits.buffer, deps.budget, this.startAt, () => deps.clock.monotonicMs());
    void this.#run();
  }

  take(records: readonly FetchedRecord[]): void {
    if (this.isReleased) return;
    this.intake.take(records);
    this.#traces?.take(records);
    this.#wakeUp.call();
  }

  /** Inserts and commits what is there, without waiting for a block to fill. */
  async settle(boundMs: number): Promise<void> {
    if (this.isReleased || this.#isIdle) return;
    this.#flushing = true;
    this.#wakeUp.call();
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onIdle.push(resolve);
      timer = setTimeout(resolve, boundMs);
    });
    clearTimeout(timer);
    this.#flushing = false;
  }

  release(): void {
    this.#become({ kind: 'released' });
    this.intake.close();
    this.#wakeUp.call();
    this.#notifyIdle();
  }

  get partition(): number {
    return this.#claim.partition;
  }

  /** Records of the log that are not in ClickHouse yet. */
  get lag(): number {
    return Math.max(0, this.#claim.highWatermark - this.#next);
  }

  /** Inserting, or about to. */
  get isBusy(): boolean {
    return this.intake.bytes > 0;
  }

  get isReleased(): boolean {
    return this.#state.kind === 'released';
  }

  get #isIdle(): boolean {
    return this.#state.kind === 'gathering' && this.intake.length === 0 && this.#closedAt === this.#next;
  }

  #become(state: State): void {
    if (this.isReleased) return;
    this.#log.trace({ from: this.#state.kind, ...state }, 'state');
    this.#state = state;
  }

  #notifyIdle(): void {
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  async #run(): Promise<void> {
    try {
      for (const replay of this.#recovery.replays) await this.#replay(replay);
      this.#next = this.#recovery.resumeAt;
      this.#readFrom(this.#next);
      this.#become({ kind: 'gathering' });
      for (;;) await this.#step();
    } catch (error) {
      if (error instanceof ClaimLostError || this.isReleased) return;
      this.#deps.fail(error);
    }
  }

  async #step(): Promise<void> {
    this.#assertOurs();
    const waitMs = this.#dueInMs();
    if (waitMs <= 0) {
      await this.#deps.slots(() => this.#insertNext());
      return;
    }
    if (this.intake.length === 0 && this.#closedAt !== this.#next) await this.#commit(this.#next, null);
    if (this.#isIdle) this.#notifyIdle();
    if (this.#dueInMs() > 0) await this.#wakeUp.sleep(waitMs);
  }

  #dueInMs(): number {
    const { oldestAtMs, length, waitingBytes } = this.intake;
    if (oldestAtMs === undefined) return Number.POSITIVE_INFINITY;
    const { blockRows, blockBytes } = this.#deps.limits;
    if (this.#flushing || length >= blockRows || waitingBytes >= blockBytes) return 0;
    return oldestAtMs + this.#deps.cadence.ageMs - this.#deps.clock.monotonicMs();
  }

  async #insertNext(): Promise<void> {
    this.#assertOurs();
    const { blockRows, blockBytes } = this.#deps.limits;
    const records = this.intake.cut(blockRows, blockBytes);
    const last = records.at(-1);
    if (!last) return;
    const begunAt = this.#deps.clock.now();
    const entries = await this.#persist('decode', () => this.#reader.read(records));
    this.intake.putBack(records.slice(entries.length));
    const to = (entries.at(-1)?.offset ?? last.offset) + 1;
    const block = this.#blockOf({ from: this.#next, to });
    this.#become({ kind: 'inserting', block });
    const plan = await this.#plan(block, entries, undefined);
    await this.#sendDeadLetters(plan, entries, new Set());
    await this.#carryOut(plan, undefined);
    this.#finish(plan, entries, begunAt);
    this.#become({ kind: 'gathering' });
    if (this.#uncommittedBlocks >= MAX_UNCOMMITTED_BLOCKS) await this.#commit(this.#next, null);
  }

  /** Inserts a block of before, with the very bounds it had, under its token. */
  async #replay(replay: Replay): Promise<void> {
    this.#become({ kind: 'replaying', block: replay });
    const block = this.#blockOf(replay);
    this.#log.info({ from: replay.from, to: replay.to, begun: replay.begun }, 'a block is inserted again');
    if (replay.from < this.#claim.logStart) {
      this.#log.error({ ...replay, log_start: this.#claim.logStart }, 'a block to be inserted again has lost records');
    }
    this.#readFrom(replay.from);
    this.intake.need(replay.to);
    while (this.intake.position < replay.to) {
      await this.#wakeUp.sleep(Number.POSITIVE_INFINITY);
      this.#assertOurs();
    }
    this.intake.need(0);
    const records = this.intake.cutBelow(replay.to);
    await this.#deps.slots(async () => {
      const begunAt = this.#deps.clock.now();
      const decisions = await this.#persist('read', () => this.#deps.store.decisions(block));
      const undecodable = new Set(decisions.filter((each) => each.undecodable).map((each) => each.log_offset));
      const replayed = { begun: replay.begun, decisions };
      const entries = await this.#persist('decode', () => this.#reader.readAgain(records, undecodable));
      const plan = await this.#plan(block, entries, replayed);
      await this.#sendDeadLetters(plan, entries, undecodable);
      await this.#carryOut(plan, replayed);
      this.#finish(plan, entries, begunAt);
    });
  }

  #plan(block: BlockId, entries: readonly LogEntry[], replayed: Replayed | undefined): Promise<BlockPlan> {
    const planner = { store: this.#deps.store, book: this.#book, recentKeys: this.#recentKeys };
    return this.#persist('plan', () => planBlock(planner, block, entries, replayed));
  }

  /** From here on the block has its bounds for good; nothing of it is in before its intent is committed. */
  async #carryOut(planned: BlockPlan, replayed: Replayed | undefined): Promise<void> {
    const { store, metrics, cadence, clock } = this.#deps;
    let plan = planned;
    const { block } = plan;
    if (plan.judged.length === 0 && plan.gaps.length === 0) return;
    if (!replayed) await this.#commit(block.from, block.to);
    const decisions = decisionsOf(plan);
    if (decisions.length > 0 && !replayed?.decisions.length) {
      await this.#persist('decide', () => store.decide(block, decisions));
      const recorded = await this.#persist('read', () => store.decisions(block));
      plan = underDecisions(plan, recorded);
    }
    const rows = rowsOf(plan);
    if (!replayed?.begun) {
      await this.#assertStoreIsWhole();
      const seq = ++this.#seq;
      await this.#persist('begin', () => store.begin(block, seq, rows.length));
    }
    const startedMs = clock.monotonicMs();
    await this.#persist('ingest', () => store.ingest(block, rows));
    const tookMs = clock.monotonicMs() - startedMs;
    cadence.observe(tookMs);
    metrics.insertSeconds.observe(tookMs / 1_000);
    metrics.blocks.inc({ kind: replayed ? 'replayed' : 'live' });
    metrics.rows.inc(rows.length);
    if (block.from < this.#recovery.committedBelow) this.#tellRebuilt(rows.length);
    this.#log.debug({ from: block.from, to: block.to, rows: rows.length, took_ms: tookMs }, 'block inserted');
  }

  /** Before each block: a ClickHouse that was emptied under a running sink would take new rows and never miss the old. */
  async #assertStoreIsWhole(): Promise<void> {
    const { topicId, partition } = this.#claim;
    const last = await this.#persist('read', () => this.#deps.store.lastBegun(topicId, partition));
    if ((last?.seq ?? 0) >= this.#seq) return;
    const where = `partition ${partition}: the last block begun was number ${this.#seq}`;
    throw new ParleyError('CLICKHOUSE_BEHIND', `${where}, ClickHouse knows of ${last?.seq ?? 'none'}`);
  }

  #tellRebuilt(rows: number): void {
    this.#deps.metrics.rebuilt.inc(rows);
    if (this.#toldRebuilt) return;
    this.#toldRebuilt = true;
    const fields = {
      code: 'CLICKHOUSE_BEHIND',
      committed: this.#recovery.committedBelow,
      from: this.#recovery.resumeAt,
    };
    this.#log.error(fields, 'ClickHouse had lost what was committed: it is inserted again from the log');
  }

  #finish(plan: BlockPlan, entries: readonly LogEntry[], begunAt: number): void {
    const { block, judged, repeats, receipts } = plan;
    const { dropped, replaced } = this.#deps.metrics;
    this.#book.close(receipts);
    for (const { outcome, verdict } of judged) {
      this.#recentKeys.add(hashOf(outcome));
      if (verdict.kind === 'duplicate') dropped.inc({ kind: 'duplicate' });
      if (verdict.kind === 'replace') replaced.inc();
    }
    if (repeats > 0) dropped.inc({ kind: 'repeat' }, repeats);
    dropped.inc({ kind: 'provisional' }, entries.filter(({ kind }) => kind === 'provisional').length);
    this.#next = block.to;
    this.#uncommittedBlocks++;
    this.intake.free();
    this.#traces?.inserted(plan, entries, begunAt);
  }

  /** Acked before the block is begun, so before the receipt and the commit: a record with a receipt is there already. */
  async #sendDeadLetters(
    { judged }: BlockPlan,
    entries: readonly LogEntry[],
    sentBefore: ReadonlySet<number>,
  ): Promise<void> {
    const { dlqTopic, sendDeadLetter, metrics } = this.#deps;
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
      this.#log[receipt ? 'warn' : 'error'](fields, 'a record of the log is no outcome and is dead-lettered');
      await this.#persist('dead_letter', () => sendDeadLetter(this.#reader.deadLetterOf(entry, dlqTopic)));
      metrics.undecodable.inc({ receipt: String(receipt) });
    }
  }

  /** @param next the end of the block that is about to begin at `offset`, or null. */
  async #commit(offset: number, next: number | null): Promise<void> {
    const metadata = encodeCommit(this.#claim.topicId, offset, next);
    await this.#claim.commit(() => ({ offset, metadata }));
    this.#closedAt = offset;
    this.#uncommittedBlocks = 0;
  }

  /** Makes sure that `offset` is the record that comes next. */
  #readFrom(offset: number): void {
    if (this.intake.head === offset) return;
    this.intake.restartAt(offset);
    this.#claim.seek(offset);
  }

  #blockOf({ from, to }: Bounds): BlockId {
    return { topicId: this.#claim.topicId, partition: this.#claim.partition, from, to };
  }

  #assertOurs(): void {
    if (this.isReleased || !this.#claim.active) throw new ClaimLostError('the claim was released');
  }

  /** One step of a block, again and again with growing pauses, for as long as the partition is ours. */
  async #persist<T>(step: string, run: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      this.#assertOurs();
      try {
        return await run();
      } catch (error) {
        if (error instanceof ClaimLostError) throw error;
        if (MISSING.has(clickHouseErrorCode(error) ?? 0)) {
          throw new ParleyError('CLICKHOUSE_SCHEMA', `ClickHouse lacks a table: ${messageOf(error)}`, { cause: error });
        }
        const block = 'block' in this.#state ? this.#state.block : undefined;
        this.#deps.metrics.retries.inc({ step });
        this.#log.warn({ step, attempt, err: messageOf(error), ...block }, 'a step of a block failed; tried again');
        await this.#pause(Math.random() * Math.min(100 * 2 ** attempt, MAX_RETRY_DELAY_MS));
      }
    }
  }

  /** Ends early when the claim is lost; records that arrive meanwhile do not cut it short. */
  async #pause(ms: number): Promise<void> {
    const until = this.#deps.clock.monotonicMs() + ms;
    for (let left = ms; left > 0 && !this.isReleased; left = until - this.#deps.clock.monotonicMs()) {
      await this.#wakeUp.sleep(left);
    }
  }
}
