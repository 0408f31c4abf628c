import assert from 'node:assert/strict';
import { describe, it } from '@jest/globals';
import fc from 'fast-check';
import type { TopicId } from '../core/brands.ts';
import { decodeLedger } from '../core/ledger-metadata.ts';
import { OffsetLedger } from '../core/offset-ledger.ts';
import type { Claim, OffsetAndMetadata } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { type Job, PartitionWorker } from './partition-worker.ts';

const TOPIC_ID = 'dgoboNlSR7q7_iKvHit0vg' as TopicId;
const SPAN = 16;

const record = (offset: number): FetchedRecord => ({
  offset,
  timestamp: 1,
  key: null,
  value: null,
  headers: {},
  size: 1,
});

/** A partition's log, with offsets that hold no record; and the worker that reads it as the consumer lets it. */
class World {
  start = 0;
  end = 0;
  readonly empty = new Set<number>();
  /** Offsets of records that ended in an outcome, and those of a gap's outcome, in any instance's life. */
  readonly analysed = new Set<number>();
  readonly gone = new Set<number>();
  committed: OffsetAndMetadata | undefined;
  #paused = false;
  #position = 0;
  #worker: PartitionWorker;
  #jobs: Job[] = [];

  constructor() {
    this.#worker = this.#assign();
  }

  produce(count: number, without: number): void {
    for (let n = 0; n < count; n++, this.end++) if (without > 0 && this.end % without === 0) this.empty.add(this.end);
  }

  deleteRecords(before: number): void {
    this.start = Math.max(this.start, Math.min(before, this.end));
  }

  /** What kafkajs and GroupConsumer do: an offset below the log's start is out of range, and reading goes on at the start. */
  fetch(count: number): void {
    // A fetch that was under way when the partition was paused is handed over all the same.
    if (this.#paused && count % 2 === 0) return;
    if (this.#position < this.start) {
      this.#position = this.start;
      this.#worker.cutTo(this.start);
      return;
    }
    const end = Math.min(this.#position + count, this.end);
    const offsets = Array.from({ length: end - this.#position }, (_, n) => this.#position + n);
    this.#position = end;
    this.#worker.take(offsets.filter((offset) => !this.empty.has(offset)).map(record));
    this.#worker.readTo(end);
  }

  /** Every partition of the instance waits, since enough is queued, or no longer. */
  pauseIntake(paused: boolean): void {
    this.#worker.setIntakePaused(paused);
  }

  get running(): number {
    return this.#jobs.length;
  }

  complete(place: number): void {
    const [job] = this.#jobs.splice(place % this.#jobs.length, 1);
    if (!job) return;
    this.#worker.ended(job);
    if (job.kind === 'record') {
      const { offset } = job.record;
      assert(!this.empty.has(offset), `${offset} holds no record`);
      this.analysed.add(offset);
      this.#worker.complete(offset);
      return;
    }
    for (let offset = job.first; offset <= job.last; offset++) {
      assert(offset < this.start, `${offset} is in the log and was reported as gone`);
      this.gone.add(offset);
    }
    this.#worker.complete(job.first);
  }

  async commit(): Promise<void> {
    await this.#worker.commit();
    for (let offset = 0; offset < (this.committed?.offset ?? 0); offset++) {
      const accounted = this.analysed.has(offset) || this.gone.has(offset) || this.empty.has(offset);
      assert(accounted, `${offset} is committed and has no outcome`);
    }
  }

  /** A `kill -9`: what was not committed is forgotten. */
  crash(): void {
    this.#worker = this.#assign();
  }

  async drain(): Promise<void> {
    this.pauseIntake(false);
    for (let turns = 0; turns < 2 * (this.end - this.start) + 8; turns++) {
      this.fetch(64);
      while (this.running > 0) this.complete(0);
    }
    await this.commit();
    assert.equal(this.committed?.offset ?? 0, this.end);
    assert.equal(this.#paused, false);
  }

  #assign(): PartitionWorker {
    const { committed } = this;
    const watermark = committed?.offset ?? this.start;
    const claim = {
      topic: 'chat.events',
      partition: 0,
      topicId: TOPIC_ID,
      logStart: this.start,
      logEnd: this.end,
      highWatermark: this.end,
      seek: (offset: number) => {
        this.#position = offset;
      },
      committed: { offset: committed?.offset ?? null, metadata: committed?.metadata ?? '' },
      active: true,
      pause: () => {
        this.#paused = true;
      },
      resume: () => {
        this.#paused = false;
      },
      commit: async (snapshot: () => OffsetAndMetadata) => {
        this.committed = snapshot();
      },
    } satisfies Claim;
    this.#paused = false;
    this.#jobs = [];
    const { completed } = decodeLedger(committed?.metadata ?? '', TOPIC_ID, watermark);
    // Before its first commit the group begins at the log's start: what was removed before that was never its own.
    for (let offset = 0; !committed && offset < this.start; offset++) this.gone.add(offset);
    const worker = new PartitionWorker(claim, new OffsetLedger(watermark, completed, SPAN), {
      offer: (from, job) => {
        from.started(job, 0);
        this.#jobs.push(job);
      },
      ended: () => {},
      failed: () => {},
      skipped: () => {},
      settling: () => {},
      kept: () => {},
      released: () => {},
    });
    worker.begin();
    this.#position = worker.startAt;
    return worker;
  }
}

const size = fc.oneof(
  fc.integer({ min: 1, max: 8 }),
  fc.integer({ min: 1, max: 3 * SPAN }),
  fc.integer({ min: 1, max: 400 }),
);
const step = fc.oneof(
  fc.record({ kind: fc.constant('produce' as const), count: size, without: fc.nat(5) }),
  fc.record({ kind: fc.constant('deleteRecords' as const), back: fc.oneof(fc.constant(0), size) }),
  fc.record({ kind: fc.constant('fetch' as const), count: size }),
  fc.record({ kind: fc.constant('complete' as const), place: fc.oneof(fc.constant(0), fc.nat(50)), times: size }),
  fc.record({ kind: fc.constant('commit' as const) }),
  fc.record({ kind: fc.constant('crash' as const) }),
  fc.record({ kind: fc.constant('pause' as const), paused: fc.boolean() }),
);

describe('PartitionWorker, over a log that retention and delete-records cut', () => {
  it('gives each record an outcome or reports it as gone, and reads to the end, whatever is cut, done and killed when', () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
        const world = new World();
        for (const each of steps) {
          if (each.kind === 'produce') world.produce(each.count, each.without);
          else if (each.kind === 'deleteRecords') world.deleteRecords(world.end - each.back);
          else if (each.kind === 'fetch') world.fetch(each.count);
          else if (each.kind === 'commit') await world.commit();
          else if (each.kind === 'crash') world.crash();
          else if (each.kind === 'pause') world.pauseIntake(each.paused);
          else for (let n = 0; n < each.times && world.running > 0; n++) world.complete(each.place);
        }
        await world.drain();
      }),
      { numRuns: 3_000 },
    ));
});
