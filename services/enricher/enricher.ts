import { messageOf } from '../core/errors.ts';
import { decodeLedger } from '../core/ledger-metadata.ts';
import { OffsetLedger } from '../core/offset-ledger.ts';
import { tenantOfKey } from '../core/partitioner.ts';
import type { Claim, PartitionHandler } from '../platform/kafka/consume/claim.ts';
import type { Logger } from '../platform/logger.ts';
import { messageTrace, traceIdOf } from '../platform/tracing/messaging-spans.ts';
import type { Span, Tracer } from '../platform/tracing/tracer.ts';
import { forward } from './analyse/callbacks.ts';
import { type Lane, MAX_IN_FLIGHT_BYTES, MAX_QUEUED } from './config.ts';
import { FairQueue } from './fair-queue.ts';
import type { EnricherMetrics } from './metrics.ts';
import { type Job, offsetOf, PartitionWorker, type WorkerEvents } from './partition-worker.ts';
import type { RecordProcessor } from './record-processor.ts';
import { retryDelayMs, StuckRecords } from './stuck-records.ts';

export interface EnricherOptions {
  readonly processor: RecordProcessor;
  readonly maxInFlight: number;
  readonly replayTopic: string;
  /** What replay may have in flight at most; it also yields to live records that wait. */
  readonly maxReplayInFlight: number;
  /** A `kill -9` may have repeated what was acked since the last commit. */
  readonly commitIntervalMs: number;
  /** How many more records may be started now: few of them should have to wait for a permit of the NLP API. */
  readonly room: () => number;
  readonly metrics: EnricherMetrics;
  readonly log: Logger;
  readonly tracing?: { readonly tracer: Tracer; readonly group: string } | undefined;
}

const NO_TENANT = '';

const bytesOf = (job: Job): number => (job.kind === 'record' ? job.record.size : 0);
const spanOf = (job: Job): Span | undefined => (job.kind === 'record' ? job.span : undefined);

/**
 * Starts work over all partitions of the instance: live before replay, tenants and their partitions in turn, within the
 * bounds on records and bytes in flight. Fetching of a lane pauses while too much of it is queued, and goes on
 * at half of that.
 */
export class Enricher {
  readonly #options: EnricherOptions;
  readonly #queues: Record<Lane, FairQueue<PartitionWorker, Job>> = { live: new FairQueue(), replay: new FairQueue() };
  readonly #events: WorkerEvents;
  #workers: PartitionWorker[] = [];
  #inFlight = 0;
  #replayInFlight = 0;
  #inFlightBytes = 0;
  readonly #intake: Readonly<Record<Lane, { records: number; bytes: number; paused: boolean }>> = {
    live: { records: 0, bytes: 0, paused: false },
    replay: { records: 0, bytes: 0, paused: false },
  };
  #startScheduled = false;
  /** Partitions before or in a rejoin: what is started now, another instance may have to start again. */
  readonly #settling = new Set<PartitionWorker>();
  readonly stuck = new StuckRecords();
  readonly #committer: NodeJS.Timeout;

  constructor(options: EnricherOptions) {
    this.#options = options;
    this.#events = {
      trace: options.tracing && messageTrace(options.tracing.tracer, options.tracing.group),
      offer: (worker, job) => this.#offer(worker, job),
      ended: (job, isDone) => this.#ended(job, isDone),
      failed: (job, error) => this.#failed(job, error),
      skipped: () => options.metrics.skipped.inc(),
      settling: (worker) => void this.#settling.add(worker),
      kept: (worker) => this.#settled(worker),
      released: (worker) => this.#released(worker),
    };
    this.#committer = setInterval(() => this.#commitAll(), options.commitIntervalMs);
  }

  get inFlight(): number {
    return this.#inFlight;
  }
  get queued(): number {
    return this.#intake.live.records + this.#intake.replay.records;
  }
  get queuedBytes(): number {
    return this.#intake.live.bytes + this.#intake.replay.bytes;
  }
  get completedAhead(): number {
    return this.#workers.reduce((sum, { completedAhead }) => sum + completedAhead, 0);
  }
  get oldestUnfinishedMs(): number {
    const starts = this.#workers.flatMap(({ oldestStartedAtMs }) => oldestStartedAtMs ?? []);
    return starts.length === 0 ? 0 : performance.now() - Math.min(...starts);
  }

  /** The handler of a newly assigned partition, with what an earlier instance left in the commit's metadata. */
  readonly assign = async (claim: Claim): Promise<PartitionHandler> => {
    const { metrics, log } = this.#options;
    const { topic, partition, topicId, logStart } = claim;
    const { offset, metadata } = claim.committed;
    const recovered = decodeLedger(metadata, topicId, offset ?? logStart);
    // The offset of a topic that was deleted and made again would skip records of this one.
    const watermark = offset === null || recovered.state === 'other_topic' ? logStart : offset;
    metrics.ledgerMetadata.inc({ state: recovered.state });
    if (recovered.state !== 'read' && recovered.state !== 'missing') {
      const fields = { topic, partition, state: recovered.state, committed: offset, watermark };
      log.warn(fields, 'commit metadata is not of this log: completed work may be repeated');
    }
    const worker = new PartitionWorker(claim, new OffsetLedger(watermark, recovered.completed), this.#events);
    this.#workers.push(worker);
    worker.setIntakePaused(this.#intake[this.#laneOf(worker)].paused);
    worker.begin();
    return worker;
  };

  /** Starts what may be started, once in this turn of the event loop. */
  schedule(): void {
    if (this.#startScheduled || this.queued === 0) return;
    this.#startScheduled = true;
    setImmediate(() => {
      this.#startScheduled = false;
      this.#startAll();
    });
  }

  stop(): void {
    clearInterval(this.#committer);
  }

  #laneOf({ claim }: PartitionWorker): Lane {
    return claim.topic === this.#options.replayTopic ? 'replay' : 'live';
  }

  #offer(worker: PartitionWorker, job: Job): void {
    const tenant = job.kind === 'record' ? tenantOfKey(job.record.key) : NO_TENANT;
    const lane = this.#laneOf(worker);
    this.#queues[lane].push(tenant, worker, job);
    this.#account(lane, 1, bytesOf(job));
    this.schedule();
  }

  #released(worker: PartitionWorker): void {
    const lane = this.#laneOf(worker);
    for (const job of this.#queues[lane].remove(worker)) {
      this.#account(lane, -1, -bytesOf(job));
      conclude(spanOf(job), false);
    }
    this.#workers = this.#workers.filter((each) => each !== worker);
    this.stuck.released(worker);
    this.#settled(worker);
  }

  #settled(worker: PartitionWorker): void {
    this.#settling.delete(worker);
    this.schedule();
  }

  #startAll(): void {
    if (this.#settling.size > 0) return;
    const { maxInFlight, maxReplayInFlight, room } = this.#options;
    const most = Math.min(room(), maxInFlight - this.#inFlight);
    const started = this.#startFrom('live', most);
    this.#startFrom('replay', Math.min(most - started, maxReplayInFlight - this.#replayInFlight));
  }

  /** @returns how many it started. */
  #startFrom(lane: Lane, most: number): number {
    const queue = this.#queues[lane];
    const now = performance.now();
    let started = 0;
    for (; started < most && this.#inFlightBytes < MAX_IN_FLIGHT_BYTES; started++) {
      const next = queue.shift();
      if (!next) break;
      this.#account(lane, -1, -bytesOf(next.item));
      next.source.started(next.item, now);
      this.#run(next.item, lane);
    }
    return started;
  }

  #run(job: Job, lane: Lane): void {
    const { processor } = this.#options;
    const { claim } = job.worker;
    this.#inFlight++;
    this.#inFlightBytes += bytesOf(job);
    if (lane === 'replay') this.#replayInFlight++;
    spanOf(job)?.event('started');
    if (job.kind === 'record') processor.process(claim, job.record, job, job.span);
    else forward(processor.skip(claim, job.first, job.last), job);
  }

  #ended(job: Job, isDone: boolean): void {
    const { worker } = job;
    this.stuck.ended(job);
    worker.ended(job);
    if (isDone) worker.complete(offsetOf(job));
    conclude(spanOf(job), isDone);
    this.#leave(job);
  }

  /** Nothing that is foreseen: done again for as long as the partition is ours, since giving up would lose it. */
  #failed(job: Job, error: unknown): void {
    const { topic, partition } = job.worker.claim;
    const span = spanOf(job);
    const failures = this.stuck.failed(job, error);
    const fields = { err: error, topic, partition, offset: offsetOf(job), failures, ...traceIdOf(span) };
    this.#options.log.error(fields, `a record failed: ${messageOf(error)}`);
    span?.event('failed', { 'error.type': error instanceof Error ? error.name : 'other' });
    const again = () => {
      if (job.worker.claim.active) this.#run(job, this.#laneOf(job.worker));
      else conclude(span, false);
    };
    setTimeout(again, retryDelayMs(failures)).unref();
    this.#leave(job);
  }

  #leave(job: Job): void {
    this.#inFlight--;
    this.#inFlightBytes -= bytesOf(job);
    if (this.#laneOf(job.worker) === 'replay') this.#replayInFlight--;
    this.schedule();
  }

  #account(lane: Lane, records: number, bytes: number): void {
    const intake = this.#intake[lane];
    const most = MAX_QUEUED[lane];
    intake.records += records;
    intake.bytes += bytes;
    const full = intake.records >= most.records || intake.bytes >= most.bytes;
    const low = intake.records < most.records / 2 && intake.bytes < most.bytes / 2;
    if (full && !intake.paused) this.#pauseIntake(lane, true);
    else if (low && intake.paused) this.#pauseIntake(lane, false);
  }

  #pauseIntake(lane: Lane, paused: boolean): void {
    this.#intake[lane].paused = paused;
    for (const worker of this.#workers) if (this.#laneOf(worker) === lane) worker.setIntakePaused(paused);
  }

  #commitAll(): void {
    for (const worker of this.#workers) {
      worker.commit().catch((error: unknown) => {
        const { topic, partition } = worker.claim;
        this.#options.log.error({ err: error, topic, partition }, 'a commit failed');
      });
    }
  }
}

/** Where a claim was lost, the next instance makes a span of its own. */
function conclude(span: Span | undefined, isDone: boolean): void {
  if (!span) return;
  if (!isDone) span.set({ 'parley.outcome': 'abandoned' });
  span.end();
}
