import type { TopicId } from '../../../core/brands.ts';
import type { GroupSession } from '../kafkajs/group-session.ts';
import type { Claim, OffsetAndMetadata, PartitionHandler } from './claim.ts';
import { ClaimLostError } from './claim.ts';
import type { OffsetCommitter } from './offset-committer.ts';

export interface PartitionFacts {
  readonly topicId: TopicId;
  readonly committed: { readonly offset: number | null; readonly metadata: string };
  readonly logStart: number;
  readonly logEnd: number;
}

const MAX_REFUSED_MS = 30_000;

/** What a claim asks of the consumer that holds it. */
export interface ClaimOwner {
  readonly committer: OffsetCommitter;
  /** The broker refused the claim's commit for good: the member, or its generation, is no longer the group's. */
  fenced(claim: PartitionClaim, error: ClaimLostError): void;
}

/**
 * The state of one claimed partition:
 *
 *     opening ──facts, handler──▶ open ──revoked, fenced, crash──▶ lost
 *        └───────────────────────────────────────────────────────▶ lost
 *
 * While opening it is not fetched. The session under which it is held changes at each rejoin that keeps it.
 */
export class PartitionClaim implements Claim {
  readonly topic: string;
  readonly partition: number;
  readonly #owner: ClaimOwner;
  #session: GroupSession | undefined;
  #facts: PartitionFacts | undefined;
  #paused = false;
  #refusals = 0;
  #isLeaderless = false;
  #refusedUntilMs = 0;
  #seenEnd = 0;
  #committedOffset: number | undefined;
  handler: PartitionHandler | undefined;
  /** The offset expected next. */
  position = 0;

  constructor(topic: string, partition: number, session: GroupSession, owner: ClaimOwner) {
    this.topic = topic;
    this.partition = partition;
    this.#session = session;
    this.#owner = owner;
  }

  get active(): boolean {
    return this.#session !== undefined;
  }

  /** May be fetched: it is open, its handler has room, and the broker did not refuse it a moment ago. */
  get isReadable(): boolean {
    return this.active && this.handler !== undefined && !this.#paused && performance.now() >= this.#refusedUntilMs;
  }

  get topicId(): TopicId {
    return this.#known().topicId;
  }
  get committed(): PartitionFacts['committed'] {
    return this.#known().committed;
  }
  get logStart(): number {
    return this.#known().logStart;
  }
  get logEnd(): number {
    return this.#known().logEnd;
  }

  get highWatermark(): number {
    return Math.max(this.#seenEnd, this.#known().logEnd);
  }

  /** Where the group stands on the broker, as far as this claim knows; undefined until the partition is open. */
  get committedOffset(): number | undefined {
    return this.#committedOffset ?? this.#facts?.committed.offset ?? this.#facts?.logStart;
  }

  sawEnd(end: number): void {
    this.#seenEnd = end;
  }

  setFacts(facts: PartitionFacts): void {
    this.#facts = facts;
  }

  open(handler: PartitionHandler): void {
    this.handler = handler;
    this.position = handler.startAt;
  }

  keepUnder(session: GroupSession): void {
    this.#session = session;
  }

  lose(): void {
    if (!this.active) return;
    this.#session = undefined;
    this.handler?.release();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  seek(offset: number): void {
    if (this.active && this.handler) this.position = offset;
  }

  /** The broker does not let it be read: tried again after a second, doubled each time, thirty at most. */
  refused(): void {
    this.#refusedUntilMs = performance.now() + Math.min(1_000 * 2 ** this.#refusals++, MAX_REFUSED_MS);
  }

  /** It has no leader. @returns false where that is known already. */
  lostLeader(): boolean {
    const before = !this.#isLeaderless;
    this.#isLeaderless = true;
    return before;
  }

  /** @returns whether it had been refused, or without a leader, before. */
  answered(): boolean {
    const before = this.#refusals > 0 || this.#isLeaderless;
    this.#refusals = 0;
    this.#isLeaderless = false;
    return before;
  }

  async commit(snapshot: () => OffsetAndMetadata): Promise<void> {
    const { topic, partition } = this;
    let offset: number | undefined;
    const remembered = () => {
      const taken = snapshot();
      offset = taken.offset;
      return taken;
    };
    try {
      await this.#owner.committer.commit({ topic, partition, session: () => this.#session, snapshot: remembered });
      this.#committedOffset = offset;
    } catch (error) {
      if (error instanceof ClaimLostError && this.active) this.#owner.fenced(this, error);
      throw error;
    }
  }

  #known(): PartitionFacts {
    if (!this.#facts) throw new Error(`${this.topic}/${this.partition} is not open yet`);
    return this.#facts;
  }
}
