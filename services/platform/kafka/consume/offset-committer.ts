import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../core/errors.ts';
import type { Logger } from '../../logger.ts';
import type { GroupSession } from '../kafkajs/group-membership.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { type InternalBroker, type InternalCluster, openCluster } from '../kafkajs/kafkajs-internals.ts';
import { ClaimLostError, type OffsetAndMetadata } from './claim.ts';

/** One claim's wish to commit. */
export interface CommitEntry {
  readonly topic: string;
  readonly partition: number;
  /** The session under which the partition is held now, or undefined once it is lost. */
  readonly session: () => GroupSession | undefined;
  readonly snapshot: () => OffsetAndMetadata;
}

interface Waiting extends CommitEntry {
  /** Since when the broker has refused this entry's present session. */
  readonly fencedSinceMs: number | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export interface CommittedOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number | null;
  readonly metadata: string;
}

const FENCED = new Set(['ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID']);
const RETRY_DELAY_MS = 100;
/** Longer than a rejoin takes between the broker's new generation and our hearing of it. */
const FENCED_BOUND_MS = 15_000;

/**
 * Commits and fetches a group's offsets over a connection of its own: on the consumer's, a commit would wait behind the
 * JoinGroup of a rebalance, and kafkajs would send it with whatever member and generation is current by then, which
 * rewound a new owner from 9 to 3 in a trial. One request is outstanding at a time, so commits never overtake.
 */
export class OffsetCommitter {
  readonly #cluster: InternalCluster;
  readonly #groupId: string;
  readonly #log: Logger;
  readonly #fencedBoundMs: number;
  #coordinator: InternalBroker | undefined;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  private constructor(cluster: InternalCluster, groupId: string, log: Logger, fencedBoundMs: number) {
    this.#fencedBoundMs = fencedBoundMs;
    this.#cluster = cluster;
    this.#groupId = groupId;
    this.#log = log;
  }

  static async connect(
    kafka: Kafka,
    groupId: string,
    log: Logger,
    fencedBoundMs = FENCED_BOUND_MS,
  ): Promise<OffsetCommitter> {
    const cluster = openCluster(kafka);
    await cluster.connect();
    return new OffsetCommitter(cluster, groupId, log, fencedBoundMs);
  }

  commit(entry: CommitEntry): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...entry, fencedSinceMs: undefined, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** What the group has committed for these partitions. */
  async fetch(topic: string, partitions: readonly number[]): Promise<CommittedOffset[]> {
    const { responses } = await this.#withCoordinator((coordinator) =>
      coordinator.offsetFetch({
        groupId: this.#groupId,
        topics: [{ topic, partitions: partitions.map((partition) => ({ partition })) }],
      }),
    );
    return responses.flatMap(({ partitions: found }) =>
      found.map(({ partition, offset, metadata }) => ({
        topic,
        partition,
        offset: Number(offset) < 0 ? null : Number(offset),
        metadata: metadata ?? '',
      })),
    );
  }

  /** Waits for what is queued, then disconnects. */
  async close(): Promise<void> {
    while (this.#running) await this.#running;
    await this.#cluster.disconnect();
  }

  async #run(): Promise<void> {
    // A turn of the event loop gathers the commits of all partitions that became due together.
    await delay(0);
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting.splice(0);
        for (const group of bySession(batch)) await this.#commitGroup(group.session, group.entries);
      }
    } finally {
      // In the same turn as the last look: whoever commits right after a commit would else wait for somebody else's.
      this.#running = undefined;
    }
  }

  async #commitGroup(session: GroupSession | undefined, entries: Waiting[]): Promise<void> {
    if (!session) {
      for (const { topic, partition, reject } of entries)
        reject(new ClaimLostError(`${topic}/${partition} is not ours`));
      return;
    }
    try {
      await this.#withCoordinator((coordinator) => coordinator.offsetCommit(this.#request(session, entries)));
      for (const { resolve } of entries) resolve();
    } catch (error) {
      const type = (error as { type?: string }).type ?? '';
      this.#log.warn({ err: messageOf(error), type, partitions: entries.length }, 'an offset commit was refused');
      await delay(RETRY_DELAY_MS);
      this.#requeue(session, entries, FENCED.has(type) ? type : undefined);
    }
  }

  /**
   * Back into the queue; there the session is read again and a fresh snapshot taken. Refused for its generation, a commit
   * may just have met a rejoin that is not yet known here, which gives the claim a new session or none within moments;
   * when neither comes, we are a zombie.
   */
  #requeue(session: GroupSession, entries: Waiting[], fencedBy: string | undefined): void {
    for (const entry of entries) {
      const stillSame = entry.session() === session;
      const fencedSinceMs = fencedBy && stillSame ? (entry.fencedSinceMs ?? performance.now()) : undefined;
      if (fencedSinceMs !== undefined && performance.now() - fencedSinceMs > this.#fencedBoundMs) {
        entry.reject(new ClaimLostError(`the broker refused the commit: ${fencedBy}`));
      } else {
        this.#waiting.push({ ...entry, fencedSinceMs });
      }
    }
  }

  #request(session: GroupSession, entries: readonly Waiting[]) {
    const byTopic = new Map<string, { partition: number; offset: string; metadata: string }[]>();
    for (const { topic, partition, snapshot } of entries) {
      const { offset, metadata } = snapshot();
      const partitions = byTopic.get(topic) ?? [];
      // The last of several commits of one partition is the newest.
      byTopic.set(topic, [
        ...partitions.filter((each) => each.partition !== partition),
        { partition, offset: String(offset), metadata },
      ]);
    }
    return {
      groupId: this.#groupId,
      memberId: session.memberId,
      groupGenerationId: session.generationId,
      topics: [...byTopic].map(([topic, partitions]) => ({ topic, partitions })),
    };
  }

  async #withCoordinator<T>(request: (coordinator: InternalBroker) => Promise<T>): Promise<T> {
    try {
      if (!this.#cluster.isConnected()) await this.#cluster.connect();
      this.#coordinator ??= await this.#cluster.findGroupCoordinator({ groupId: this.#groupId });
      return await request(this.#coordinator);
    } catch (error) {
      // Moved or gone: looked up anew at the next try.
      this.#coordinator = undefined;
      const { name, host, port } = error as { name?: string; host?: string; port?: number };
      if (name === 'KafkaJSConnectionClosedError' && host && port) this.#cluster.removeBroker({ host, port });
      throw error;
    }
  }
}

function bySession(batch: readonly Waiting[]): { session: GroupSession | undefined; entries: Waiting[] }[] {
  const groups: { session: GroupSession | undefined; entries: Waiting[] }[] = [];
  for (const entry of batch) {
    const session = entry.session();
    const group = groups.find((each) => each.session === session);
    if (group) group.entries.push(entry);
    else groups.push({ session, entries: [entry] });
  }
  return groups;
}
