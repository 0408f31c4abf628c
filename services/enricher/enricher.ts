import { messageOf } from '../core/errors.ts';
import { decodeLedger } from '../core/ledger-metadata.ts';
import type { Claim, PartitionHandler } from '../platform/kafka/claim.ts';
import type { Logger } from '../platform/logger.ts';
import { COMMIT_INTERVAL_MS, MAX_IN_FLIGHT_BYTES, MAX_QUEUED_BYTES, MAX_QUEUED_RECORDS } from './config.ts';
import type { EnricherMetrics } from './metrics.ts';
import { type Job, PartitionWorker } from './partition-worker.ts';
import type { RecordProcessor } from './record-processor.ts';

export interface EnricherOptions {
  readonly processor: RecordProcessor;
  readonly maxInFlight: number;
  readonly replayTopic: string;
  /** What replay may have in flight at most; it also yields to live records that wait. */
  readonly maxReplayInFlight: number;
  /** False while the NLP API is down: nothing new is started. */
  readonly mayStart: () => boolean;
  readonly metrics: EnricherMetrics;
  readonly log: Logger;
}

const UNFORESEEN_RETRY_MS = 1_000;

/**
 * Starts work over all partitions of the instance: round robin between them, live before replay, within the bounds on
 * records and bytes in flight. Fetching pauses while too much is queued and goes on at half of that.
 */
export class Enricher {
  readonly #options: EnricherOptions;
  #workers: PartitionWorker[] = [];
  #turn = 0;
  #inFlight = 0;
  #replayInFlight = 0;
  #inFlightBytes = 0;
  #queued = 0;
  #queuedBytes = 0;
  #intakePaused = false;
  #startScheduled = false;
  readonly #committer: NodeJS.Timeout;

  constructor(options: EnricherOptions) {
    this.#options = options;
    this.#committer = setInterval(() => this.#commitAll(), COMMIT_INTERVAL_MS);
  }

  get inFlight(): number {
    return this.#inFlight;
  }
  get queued(): number {
    return this.#queued;
  }
  get queuedBytes(): number {
    return this.#queuedBytes;
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
    const ledger = decodeLedger(metadata, topicId, offset ?? logStart);
    // The offset of a topic that was deleted and made again would skip records of this one.
    const watermark = offset === null || ledger.state === 'other_topic' ? logStart : offset;
    metrics.ledgerMetadata.inc({ state: ledger.state });
    if (ledger.state !== 'read' && ledger.state !== 'missing') {
      const fields = { topic, partition, state: ledger.state, committed: offset, watermark };
      log.warn(fields, 'commit metadata is not of this log: completed work may be repeated');
    }
    const worker = new PartitionWorker(claim, watermark, ledger.completed, {
      ready: () => this.schedule(),
      queued: (records, bytes) => this.#account(records, bytes),
      released: (released) => {
        this.#workers = this.#workers.filter((each) => each !== released);
      },
    });
    this.#workers.push(worker);
    if (this.#intakePaused) claim.pause();
    this.schedule();
    return worker;
  };

  /** Starts what may be started, once in this turn of the event loop. */
  schedule(): void {
    if (this.#startScheduled) return;
    this.#startScheduled = true;
    setImmediate(() => {
      this.#startScheduled = false;
      this.#startAll();
    });
  }

  stop(): void {
    clearInterval(this.#committer);
  }

  #startAll(): void {
    const isReplay = ({ claim }: PartitionWorker) => claim.topic === this.#options.replayTopic;
    if (!this.#options.mayStart()) return;
    this.#startFrom(
      this.#workers.filter((worker) => !isReplay(worker)),
      false,
    );
    this.#startFrom(this.#workers.filter(isReplay), true);
  }

  /** One record a partition and round, beginning at another partition each time. */
  #startFrom(workers: readonly PartitionWorker[], replay: boolean): void {
    const onSkipped = () => this.#options.metrics.skipped.inc();
    let idle = 0;
    for (; idle < workers.length && this.#hasRoom(replay); this.#turn++) {
      const worker = workers[this.#turn % workers.length] as PartitionWorker;
      const job = worker.start(performance.now(), onSkipped);
      idle = job ? 0 : idle + 1;
      if (job) void this.#run(worker, job, replay);
    }
  }

  #hasRoom(replay: boolean): boolean {
    const { maxInFlight, maxReplayInFlight } = this.#options;
    if (this.#inFlight >= maxInFlight || this.#inFlightBytes >= MAX_IN_FLIGHT_BYTES) return false;
    return !replay || this.#replayInFlight < maxReplayInFlight;
  }

  async #run(worker: PartitionWorker, job: Job, replay: boolean): Promise<void> {
    const bytes = job.kind === 'record' ? job.record.size : 0;
    this.#inFlight++;
    this.#inFlightBytes += bytes;
    if (replay) this.#replayInFlight++;
    const offset = job.kind === 'record' ? job.record.offset : job.first;
    try {
      if (await this.#process(worker, job)) worker.complete(offset);
    } catch (error) {
      // Nothing that is foreseen: tried again for as long as the partition is ours, since giving up would lose it.
      const { topic, partition } = worker.claim;
      this.#options.log.error({ err: error, topic, partition, offset }, `a record failed: ${messageOf(error)}`);
      setTimeout(() => void (worker.claim.active && this.#run(worker, job, replay)), UNFORESEEN_RETRY_MS).unref();
    } finally {
      this.#inFlight--;
      this.#inFlightBytes -= bytes;
      if (replay) this.#replayInFlight--;
      this.schedule();
    }
  }

  #process({ claim }: PartitionWorker, job: Job): Promise<boolean> {
    const { processor } = this.#options;
    return job.kind === 'record' ? processor.process(claim, job.record) : processor.skip(claim, job.first, job.last);
  }

  #account(records: number, bytes: number): void {
    this.#queued += records;
    this.#queuedBytes += bytes;
    const full = this.#queued >= MAX_QUEUED_RECORDS || this.#queuedBytes >= MAX_QUEUED_BYTES;
    const low = this.#queued < MAX_QUEUED_RECORDS / 2 && this.#queuedBytes < MAX_QUEUED_BYTES / 2;
    if (full && !this.#intakePaused) {
      this.#intakePaused = true;
      for (const { claim } of this.#workers) claim.pause();
    } else if (low && this.#intakePaused) {
      this.#intakePaused = false;
      for (const { claim } of this.#workers) claim.resume();
    }
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
