import type { TopicId } from '../../../core/brands.ts';
import type { GroupSession } from '../kafkajs/group-membership.ts';
import type { Claim, OffsetAndMetadata, PartitionHandler } from './claim.ts';
import { ClaimLostError } from './claim.ts';
import type { OffsetCommitter } from './offset-committer.ts';

export interface PartitionFacts {
  readonly topicId: TopicId;
  readonly committed: { readonly offset: number | null; readonly metadata: string };
  readonly logStart: number;
  readonly logEnd: number;
}

/** What a claim asks of the consumer that holds it. */
export interface ClaimOwner {
  readonly committer: OffsetCommitter;
  setPaused(topic: string, partition: number, paused: boolean): void;
  /** The claim's position changed: fetch from there. */
  seek(claim: PartitionClaim): void;
  fenced(claim: PartitionClaim): void;
}

/**
 * The state of one claimed partition:
 *
 *     opening ──facts, handler──▶ open ──revoked, fenced, crash──▶ lost
 *        └───────────────────────────────────────────────────────▶ lost
 *
 * While opening nothing is fetched for it. The session under which it is held changes at each rejoin that keeps it.
 */
export class PartitionClaim implements Claim {
  readonly topic: string;
  readonly partition: number;
  readonly #owner: ClaimOwner;
  #session: GroupSession | undefined;
  #facts: PartitionFacts | undefined;
  #pausedByHandler = false;
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

  /** Nothing may be fetched: not open yet, or the handler has enough. */
  get paused(): boolean {
    return this.#pausedByHandler || this.handler === undefined;
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
    this.#setPaused(true);
  }

  resume(): void {
    this.#setPaused(false);
  }

  seek(offset: number): void {
    if (!this.active || !this.handler) return;
    this.position = offset;
    this.#owner.seek(this);
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
      if (error instanceof ClaimLostError && this.active) this.#owner.fenced(this);
      throw error;
    }
  }

  #setPaused(paused: boolean): void {
    if (this.#pausedByHandler === paused || !this.active) return;
    this.#pausedByHandler = paused;
    if (this.handler) this.#owner.setPaused(this.topic, this.partition, paused);
  }

  #known(): PartitionFacts {
    if (!this.#facts) throw new Error(`${this.topic}/${this.partition} is not open yet`);
    return this.#facts;
  }
}
