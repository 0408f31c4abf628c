import { type Claim, ClaimLostError, type PartitionHandler } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import type { Logger } from '../platform/logger.ts';
import type { StuckPlace } from '../platform/stuck-places.ts';
import { BlockBuffer } from './block-buffer.ts';
import { BlockTraces } from './block-traces.ts';
import { BlockWriter, type KnownBefore, type WrittenBlock } from './block-writer.ts';
import type { BlockId } from './ingest-row.ts';
import { encodeCommit } from './intent.ts';
import type { Bounds, Layout, Recovery, Replay } from './recovery.ts';
import type { SinkDeps } from './sink-deps.ts';
import { type Holder, StepRetry } from './step-retry.ts';
import { WakeUp } from './wake-up.ts';

type State =
  | { readonly kind: 'replaying'; readonly block: Replay }
  /** Records gather until a block is due; everything below `#next` is in. */
  | { readonly kind: 'gathering' }
  | { readonly kind: 'inserting'; readonly block: Bounds }
  | { readonly kind: 'released' };

/** Blocks without a row are closed without a commit each; after a crash at most so many are read again. */
const MAX_UNCOMMITTED_BLOCKS = 10;
const AGREE_POLL_MS = 200;
/** A step that failed once or twice, or within the time that ClickHouse takes for a restart, says nothing about its block. */
const FAILURES_TO_BE_STUCK = 3;
const FAILING_MS_TO_BE_STUCK = 5_000;

/**
 * The sink of one claimed partition: the loop that cuts blocks and hands each to {@link BlockWriter}, one after another
 * (docs/architecture.md, "Exactly once into ClickHouse"):
 *
 *     replaying ──▶ gathering ──due──▶ inserting ──▶ gathering …        any ──claim lost──▶ released
 *
 * A claim that is lost stops it anywhere.
 */
export class PartitionSink implements PartitionHandler, Holder {
  readonly startAt: number;
  readonly #claim: Claim;
  readonly #deps: SinkDeps;
  readonly #log: Logger;
  readonly #recovery: Recovery;
  readonly #writer: BlockWriter;
  readonly #steps: StepRetry;
  /** By which the commit found at the assignment was made. */
  readonly #layoutBefore: Layout;
  readonly #traces: BlockTraces | undefined;
  readonly #wakeUp = new WakeUp();
  readonly buffer: BlockBuffer;
  #state: State = { kind: 'gathering' };
  /** Where the next block begins: everything below is in ClickHouse. */
  #next: number;
  /** The offset of the last commit, and how many blocks ago it was. */
  #closedAt: number | undefined;
  #uncommittedBlocks = 0;
  #flushing = false;
  #saidRebuilt = false;
  #onIdle: (() => void)[] = [];

  constructor(claim: Claim, recovery: Recovery, known: KnownBefore, deps: SinkDeps) {
    const { topic, topicId, partition } = claim;
    this.#claim = claim;
    this.#deps = deps;
    this.#log = deps.log.child({ topic, topic_id: topicId, partition });
    this.#recovery = recovery;
    this.#next = recovery.resumeAt;
    this.#closedAt = recovery.isClosed ? recovery.resumeAt : undefined;
    this.startAt = recovery.replays[0]?.from ?? recovery.resumeAt;
    this.#steps = new StepRetry(this, { ...deps, log: this.#log });
    this.#layoutBefore = known.layout;
    this.#writer = new BlockWriter({
      claim,
      known,
      deps,
      steps: this.#steps,
      log: this.#log,
      commitIntent: ({ from, to }) => this.#commit(from, to),
    });
    const { tracing, clock } = deps;
    this.#traces = tracing && new BlockTraces(tracing.tracer, tracing.group, claim, clock);
    this.buffer = new BlockBuffer(claim, deps.limits.buffer, deps.budget, this.startAt, deps.clock);
    void this.#run();
  }

  take(records: readonly FetchedRecord[]): void {
    if (this.isReleased) return;
    this.buffer.take(records);
    this.#traces?.take(records);
    this.#wakeUp.call();
  }

  /** Markers and aborted records at the end of the log: no block reaches behind them, so the commit has to. */
  readTo(next: number): void {
    if (this.isReleased) return;
    this.buffer.skipTo(next);
    this.#wakeUp.call();
  }

  /** Outcomes are lost, which the consumer has logged: `verify` names the messages that have no receipt. */
  cutTo(next: number): void {
    this.readTo(next);
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
    this.buffer.close();
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
    return this.buffer.bytes > 0;
  }

  /** The block that the partition cannot pass, by its first record; undefined while it goes on. */
  get stuck(): StuckPlace | undefined {
    const { failing } = this.#steps;
    if (!failing || this.isReleased || failing.failures < FAILURES_TO_BE_STUCK) return undefined;
    if (this.#deps.clock.monotonicMs() - failing.sinceMs < FAILING_MS_TO_BE_STUCK) return undefined;
    const { topic, partition } = this.#claim;
    const { failures, code } = failing;
    const offset = 'block' in this.#state ? this.#state.block.from : this.#next;
    return { topic, partition, offset, failures, code };
  }

  get isReleased(): boolean {
    return this.#state.kind === 'released';
  }

  get #isIdle(): boolean {
    return this.#state.kind === 'gathering' && this.buffer.length === 0 && this.#closedAt === this.buffer.position;
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
      await this.#agree();
      this.#become({ kind: 'gathering' });
      for (;;) await this.#step();
    } catch (error) {
      if (error instanceof ClaimLostError || this.isReleased) return;
      this.#deps.fail(error);
    }
  }

  /**
   * Says by a commit by which partition count this partition is read from here on, and waits until every other one is
   * read by the same: a source that another partition held before has nothing under way there any more (ADR 19).
   */
  async #agree(): Promise<void> {
    if (this.#layoutBefore !== this.#deps.layout.partitions) await this.#commit(this.#next, null);
    while (!(await this.#steps.run('agree', () => this.#deps.layout.isAgreed(this.#claim)))) {
      await this.pause(AGREE_POLL_MS);
      this.assertOurs();
    }
  }

  async #step(): Promise<void> {
    this.assertOurs();
    const waitMs = this.#dueInMs();
    if (waitMs <= 0) {
      await this.#insertNext();
      if (this.#writer.checkDueInMs <= 0) await this.#writer.assertStoreIsWhole();
      return;
    }
    if (this.buffer.length === 0) await this.#closeAll();
    if (this.#isIdle) this.#notifyIdle();
    if (this.#writer.checkDueInMs <= 0) await this.#writer.assertStoreIsWhole();
    if (this.#dueInMs() > 0) await this.#wakeUp.sleep(Math.min(waitMs, this.#writer.checkDueInMs));
  }

  /** Every record that was read is in, so the next block begins behind whatever holds none. */
  async #closeAll(): Promise<void> {
    this.#next = this.buffer.position;
    if (this.#closedAt !== this.#next) await this.#commit(this.#next, null);
  }

  #dueInMs(): number {
    const { oldestAtMs, length, waitingBytes } = this.buffer;
    if (oldestAtMs === undefined) return Number.POSITIVE_INFINITY;
    const { blockRows, blockBytes } = this.#deps.limits;
    if (this.#flushing || length >= blockRows || waitingBytes >= blockBytes) return 0;
    return oldestAtMs + this.#deps.cadence.ageMs - this.#deps.clock.monotonicMs();
  }

  async #insertNext(): Promise<void> {
    this.assertOurs();
    const { blockRows, blockBytes } = this.#deps.limits;
    const records = this.buffer.cut(blockRows, blockBytes);
    const last = records.at(-1);
    if (!last) return;
    const begunAt = this.#deps.clock.now();
    const entries = await this.#writer.read(records);
    this.buffer.putBack(records.slice(entries.length));
    const to = (entries.at(-1)?.offset ?? last.offset) + 1;
    const block = this.#blockOf({ from: this.#next, to });
    this.#become({ kind: 'inserting', block });
    this.#finish(await this.#writer.write(block, entries), begunAt);
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
    this.buffer.need(replay.to);
    while (this.buffer.position < replay.to) {
      await this.#wakeUp.sleep(Number.POSITIVE_INFINITY);
      this.assertOurs();
    }
    this.buffer.need(0);
    const records = this.buffer.cutBelow(replay.to);
    const begunAt = this.#deps.clock.now();
    this.#finish(await this.#writer.writeAgain(block, replay, records), begunAt);
  }

  #finish({ plan, entries, rows }: WrittenBlock, begunAt: number): void {
    const { from, to } = plan.block;
    if (rows > 0 && from < this.#recovery.committedBelow) this.#sayRebuilt(rows);
    this.#next = to;
    this.#uncommittedBlocks++;
    this.buffer.free();
    this.#traces?.inserted(plan, entries, begunAt);
  }

  #sayRebuilt(rows: number): void {
    this.#deps.metrics.rebuilt.inc(rows);
    if (this.#saidRebuilt) return;
    this.#saidRebuilt = true;
    const fields = {
      code: 'CLICKHOUSE_BEHIND',
      committed: this.#recovery.committedBelow,
      from: this.#recovery.resumeAt,
    };
    this.#log.error(fields, 'ClickHouse had lost what was committed: it is inserted again from the log');
  }

  /** @param next the end of the block that is about to begin at `offset`, or null. */
  async #commit(offset: number, next: number | null): Promise<void> {
    const metadata = encodeCommit(this.#claim.topicId, offset, next, this.#deps.layout.partitions);
    await this.#claim.commit(() => ({ offset, metadata }));
    this.#closedAt = offset;
    this.#uncommittedBlocks = 0;
  }

  /** Makes sure that `offset` is the record that comes next. */
  #readFrom(offset: number): void {
    if (this.buffer.head === offset) return;
    this.buffer.restartAt(offset);
    this.#claim.seek(offset);
  }

  #blockOf({ from, to }: Bounds): BlockId {
    return { topicId: this.#claim.topicId, partition: this.#claim.partition, from, to };
  }

  assertOurs(): void {
    if (this.isReleased || !this.#claim.active) throw new ClaimLostError('the claim was released');
  }

  /** Records that arrive meanwhile do not cut it short; losing the claim does. */
  async pause(ms: number): Promise<void> {
    const until = this.#deps.clock.monotonicMs() + ms;
    for (let left = ms; left > 0 && !this.isReleased; left = until - this.#deps.clock.monotonicMs()) {
      await this.#wakeUp.sleep(left);
    }
  }
}
