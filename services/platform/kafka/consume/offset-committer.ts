import { setTimeout as delay } from 'node:timers/promises';
import { errorTypeOf } from '../kafkajs/error-type.ts';
import type { CommittedOffset, GroupSession } from '../kafkajs/group-session.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { forgetClosed, type InternalBroker, type InternalCluster, openCluster } from '../kafkajs/kafkajs-internals.ts';
import { requestCommit, requestCommitted } from '../kafkajs/offset-requests.ts';
import { ClaimLostError, type OffsetAndMetadata } from './claim.ts';
import { pauseMs, verdictOf } from './commit-errors.ts';

/** One claim's wish to commit. */
export interface CommitEntry {
  readonly topic: string;
  readonly partition: number;
  /** The session under which the partition is held now, or undefined once it is lost. */
  readonly session: () => GroupSession | undefined;
  readonly snapshot: () => OffsetAndMetadata;
}

export interface CommitterOptions {
  readonly kafka: Kafka;
  readonly groupId: string;
  /** Kafka refuses a partition's commits, finally or for long; undefined once it takes them again. */
  readonly onRefused?: (topic: string, partition: number, error: string | undefined) => void;
  /** How long a commit may be refused for its generation without a rejoin; the default is {@link FENCED_BOUND_MS}. */
  readonly fencedBoundMs?: number;
  /** How long an error that may pass is borne before it is reported; the default is {@link REPORT_AFTER_MS}. */
  readonly reportAfterMs?: number;
}

/** Longer than a rejoin takes between the broker's new generation and our hearing of it. */
const FENCED_BOUND_MS = 15_000;
/** Refused for so long, a commit is reported, also where the error may pass. */
const REPORT_AFTER_MS = 60_000;
/** A coordinator that is away is looked for longer than a closing consumer waits. */
const CLOSE_MS = 5_000;

interface Waiting extends CommitEntry {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  /** Failures in a row, and when the first and the next try are, on the monotonic clock. */
  failures: number;
  failingSinceMs: number;
  dueAtMs: number;
  /** The session of which the broker refused the generation: not tried again under that one. */
  fencedSession: GroupSession | undefined;
}

/**
 * Commits and fetches a group's offsets over a connection of its own: on the consumer's, a commit would wait behind the
 * JoinGroup of a rebalance, and kafkajs would send it with whatever member and generation is current by then, which
 * rewound a new owner from 9 to 3 in a trial. One request is outstanding at a time, so commits never overtake. Each
 * partition is settled by its own answer; one that is refused waits longer and longer, beside the others.
 */
export class OffsetCommitter {
  readonly #cluster: InternalCluster;
  readonly #options: CommitterOptions;
  #coordinator: InternalBroker | undefined;
  /** Bounded by the claims' wishes: a handler has one commit outstanding for each partition. */
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #wake: () => void = () => {};
  #closing = false;

  private constructor(cluster: InternalCluster, options: CommitterOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  static async connect(options: CommitterOptions): Promise<OffsetCommitter> {
    const cluster = openCluster(options.kafka);
    await cluster.connect();
    return new OffsetCommitter(cluster, options);
  }

  /** @throws {ClaimLostError} once the entry has no session, or its session cannot commit any more. */
  commit(entry: CommitEntry): Promise<void> {
    return new Promise((resolve, reject) => {
      const fresh = { failures: 0, failingSinceMs: 0, dueAtMs: 0, fencedSession: undefined };
      this.#waiting.push({ ...entry, ...fresh, resolve, reject });
      this.#wake();
      this.#running ??= this.#run();
    });
  }

  /** Sessions may have changed: what waits for that is looked at. */
  sessionsChanged(): void {
    this.#wake();
  }

  /** What the group has committed for these partitions. */
  fetch(topic: string, partitions: readonly number[]): Promise<CommittedOffset[]> {
    const { groupId } = this.#options;
    return this.#withCoordinator((coordinator) => requestCommitted(coordinator, groupId, topic, partitions));
  }

  /** Sends what is due, gives up what was refused before, then disconnects; within five seconds. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wake();
    await Promise.race([this.#running, delay(CLOSE_MS, undefined, { ref: false })]);
    await this.#cluster.disconnect();
  }

  async #run(): Promise<void> {
    // A turn of the event loop gathers the commits of all partitions that became due together.
    await delay(0);
    try {
      while (this.#waiting.length > 0) {
        const due = this.#takeDue();
        for (const [session, entries] of Map.groupBy(due, (entry) => entry.session())) {
          await this.#commitGroup(session, entries);
        }
        if (due.length === 0) await this.#sleep();
      }
    } finally {
      // In the same turn as the last look: a commit right after it would else wait for the next one's.
      this.#running = undefined;
    }
  }

  /** Entries that are to be sent, and those whose claim is lost. */
  #takeDue(): Waiting[] {
    const now = performance.now();
    const due: Waiting[] = [];
    const later: Waiting[] = [];
    for (const entry of this.#waiting) {
      const session = entry.session();
      const isFenced = entry.fencedSession !== undefined && entry.fencedSession === session;
      const isDue =
        session === undefined ||
        (entry.fencedSession !== undefined && !isFenced) ||
        (entry.dueAtMs <= now && !isFenced);
      if (isDue) due.push(entry);
      else if (this.#closing)
        entry.reject(new ClaimLostError(`${entry.topic}/${entry.partition}: the consumer closed`));
      else if (isFenced && entry.dueAtMs <= now)
        entry.reject(new ClaimLostError('the broker refused the generation', 'generation'));
      else later.push(entry);
    }
    this.#waiting = later;
    return due;
  }

  async #sleep(): Promise<void> {
    const dueAtMs = Math.min(...this.#waiting.map((entry) => entry.dueAtMs));
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const over = new AbortController();
    const timer = delay(Math.max(dueAtMs - performance.now(), 1), undefined, { signal: over.signal });
    await Promise.race([woken, timer.catch(() => undefined)]);
    over.abort();
    this.#wake = () => {};
  }

  async #commitGroup(session: GroupSession | undefined, entries: readonly Waiting[]): Promise<void> {
    if (!session) {
      for (const { topic, partition, reject } of entries)
        reject(new ClaimLostError(`${topic}/${partition} is not ours`));
      return;
    }
    const errors = await this.#send(session, entries);
    for (const entry of entries) {
      const error = errors.get(placeOf(entry));
      if (error === undefined) this.#committed(entry);
      else this.#refused(entry, session, error);
    }
  }

  /** The error of each partition that was not committed. */
  async #send(session: GroupSession, entries: readonly Waiting[]): Promise<ReadonlyMap<string, string>> {
    try {
      const answers = await this.#withCoordinator((coordinator) =>
        requestCommit(coordinator, this.#request(session, entries)),
      );
      const moved = answers.some(({ error }) => error !== undefined && COORDINATOR_MOVED.has(error));
      if (moved) this.#coordinator = undefined;
      return new Map(answers.flatMap(({ error, ...place }) => (error ? [[placeOf(place), error]] : [])));
    } catch (error) {
      const type = errorTypeOf(error) ?? (error as Error).name;
      return new Map(entries.map((entry) => [placeOf(entry), type]));
    }
  }

  #committed(entry: Waiting): void {
    this.#report(entry, undefined);
    entry.resolve();
  }

  /** Back to the queue, unless it cannot succeed any more; there session and snapshot are taken anew. */
  #refused(entry: Waiting, session: GroupSession, error: string): void {
    const { topic, partition } = entry;
    // Without a member, as an operator's command: the group takes it once its last member has left.
    const verdict = session.memberId === '' ? 'passing' : verdictOf(error);
    const now = performance.now();
    if (verdict === 'expelled' && entry.session() === session) {
      entry.reject(new ClaimLostError(`${topic}/${partition}: the broker refused the commit: ${error}`, 'expelled'));
      return;
    }
    entry.failures += 1;
    if (entry.failures === 1) entry.failingSinceMs = now;
    entry.fencedSession = verdict === 'generation' ? session : undefined;
    const { fencedBoundMs = FENCED_BOUND_MS, reportAfterMs = REPORT_AFTER_MS } = this.#options;
    entry.dueAtMs = now + (verdict === 'generation' ? fencedBoundMs : pauseMs(verdict, entry.failures));
    if (verdict === 'final' || (verdict === 'passing' && now - entry.failingSinceMs >= reportAfterMs)) {
      this.#report(entry, error);
    }
    this.#waiting.push(entry);
  }

  /** A claim that was lost while the request was under way has no troubles any more. */
  #report({ topic, partition, session }: Waiting, error: string | undefined): void {
    if (session() !== undefined) this.#options.onRefused?.(topic, partition, error);
  }

  #request(session: GroupSession, entries: readonly Waiting[]) {
    const offsets = new Map<string, { topic: string; partition: number; offset: string; metadata: string }>();
    for (const entry of entries) {
      const { topic, partition } = entry;
      const { offset, metadata } = entry.snapshot();
      // The last of several commits of one partition is the newest.
      offsets.set(placeOf(entry), { topic, partition, offset: String(offset), metadata });
    }
    const topics = [...Map.groupBy(offsets.values(), ({ topic }) => topic)].map(([topic, partitions]) => ({
      topic,
      partitions,
    }));
    const { memberId, generationId: groupGenerationId } = session;
    return { groupId: this.#options.groupId, memberId, groupGenerationId, topics };
  }

  async #withCoordinator<T>(request: (coordinator: InternalBroker) => Promise<T>): Promise<T> {
    try {
      if (!this.#cluster.isConnected()) await this.#cluster.connect();
      this.#coordinator ??= await this.#cluster.findGroupCoordinator({ groupId: this.#options.groupId });
      return await request(this.#coordinator);
    } catch (error) {
      // Moved or gone: looked up anew at the next try.
      this.#coordinator = undefined;
      forgetClosed(this.#cluster, error);
      throw error;
    }
  }
}

const COORDINATOR_MOVED = new Set(['NOT_COORDINATOR_FOR_GROUP', 'GROUP_COORDINATOR_NOT_AVAILABLE']);

const placeOf = ({ topic, partition }: { readonly topic: string; readonly partition: number }) =>
  `${topic}/${partition}`;
