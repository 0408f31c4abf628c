import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../platform/logger.ts';
import { describeMemberExit, type Member, type MemberExit } from './member.ts';

export interface PoolOptions {
  readonly size: number;
  readonly spawn: () => Member;
  /** Called for every worker that ended, for whatever reason. */
  readonly onGone: (member: Member) => void;
  /** A worker may take this long to drain before it is killed. */
  readonly drainBoundMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly pingIntervalMs?: number;
}

const PING_INTERVAL_MS = 5_000;
const PING_TIMEOUT_MS = 4_000;
/** Pings in a row without an answer: a worker that hangs for 20 s is replaced. */
const MAX_UNANSWERED = 4;
const FIRST_BACKOFF_MS = 100;
const LAST_BACKOFF_MS = 10_000;
/** A worker that lived this long was a good one: the next death starts the backoff anew. */
const STABLE_MS = 30_000;

/**
 * Keeps as many workers running as it should: one that dies is replaced after a backoff, one that hangs is killed and
 * replaced, and a rolling restart replaces all of them, new ones first.
 */
export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #members = new Set<Member>();
  readonly #pinger: NodeJS.Timeout;
  #deathsInARow = 0;
  #replacing = 0;
  /** All workers are to be drained soon, those as well that take the place of dead ones until then. */
  #leaving = false;
  #stopping = false;
  #restarting: Promise<void> | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#pinger = setInterval(() => this.#ping(), options.pingIntervalMs ?? PING_INTERVAL_MS).unref();
  }

  get size(): number {
    return this.#options.size;
  }

  /** All processes that are not gone yet, in the order of their start. */
  get members(): readonly Member[] {
    return [...this.#members];
  }

  get up(): readonly Member[] {
    return this.members.filter(({ state }) => state === 'up');
  }

  /**
   * Resolves with the gateway's URL when all workers are up.
   *
   * @throws what the first of them failed of; the others are ended then.
   */
  async start(): Promise<string> {
    const members = Array.from({ length: this.#options.size }, () => this.#spawn());
    try {
      const [url] = await Promise.all(members.map((member) => member.up));
      return url as string;
    } catch (error) {
      this.#stopping = true;
      await this.#end(members);
      throw error;
    }
  }

  /** Tells all workers that they will be drained soon. */
  announceDrain(): void {
    this.#leaving = true;
    for (const { channel } of this.members) channel.notify('announce-drain', null);
  }

  /** Drains all workers and waits for their end. */
  async drain(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#pinger);
    await Promise.all(this.members.map((member) => member.drain(this.#options.drainBoundMs)));
  }

  /**
   * Replaces all workers. First the new ones come up; then the old ones take no more connections, so that each bot lands
   * at a new one and is sent away once; then they drain, one after another. Where a new one does not come up, the old
   * ones stay.
   */
  restart(): Promise<void> {
    this.#restarting ??= this.#restart().finally(() => {
      this.#restarting = undefined;
    });
    return this.#restarting;
  }

  async #restart(): Promise<void> {
    const { log, size, drainBoundMs } = this.#options;
    const old = this.members;
    log.info({ workers: old.length }, 'a rolling restart begins');
    const fresh: Member[] = [];
    try {
      for (let i = 0; i < size && !this.#stopping; i++) {
        const member = this.#spawn();
        fresh.push(member);
        await member.up;
      }
    } catch (error) {
      log.error({ err: messageOf(error) }, 'the rolling restart is off: a new worker did not come up');
      await this.#end(fresh);
      return;
    }
    for (const member of old) member.retire();
    for (const member of old) if (!this.#stopping) await member.drain(drainBoundMs);
    log.info({ workers: fresh.length }, 'the rolling restart is done');
  }

  async #end(members: readonly Member[]): Promise<void> {
    for (const member of members) member.retire();
    await Promise.all(members.map((member) => member.drain(this.#options.drainBoundMs)));
  }

  #spawn(): Member {
    const member = this.#options.spawn();
    this.#members.add(member);
    if (this.#leaving) member.channel.notify('announce-drain', null);
    void member.exited.then((exit) => this.#onExit(member, exit));
    return member;
  }

  #onExit(member: Member, exit: MemberExit): void {
    const { onGone, log } = this.#options;
    this.#members.delete(member);
    onGone(member);
    const fields = { worker: member.id, worker_pid: member.pid };
    // One that had the signal itself may have drained a moment before its time.
    const hasDrained = this.#leaving && exit.code === 0;
    if (member.wasRetired || this.#stopping || hasDrained) {
      log.info(fields, `a worker has ended with ${describeMemberExit(exit)}`);
      return;
    }
    log.error(fields, `a worker died: ${describeMemberExit(exit)}`);
    void this.#replace(member);
  }

  async #replace(dead: Member): Promise<void> {
    const { clock, random, log } = this.#options;
    if (clock.monotonicMs() - dead.startedAtMs >= STABLE_MS) this.#deathsInARow = 0;
    const ceilingMs = Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(this.#deathsInARow, 10));
    this.#deathsInARow += 1;
    this.#replacing += 1;
    await delay(ceilingMs * (0.5 + random() / 2));
    this.#replacing -= 1;
    // During a rolling restart the new ones may be there already.
    const serving = this.members.filter((member) => !member.wasRetired).length;
    if (this.#stopping || serving + this.#replacing >= this.#options.size) return;
    const member = this.#spawn();
    log.info({ worker: member.id, worker_pid: member.pid, instead_of: dead.id }, 'a worker takes its place');
  }

  /** Asks all workers for their connections; one that does not answer keeps its last figure. */
  async count(): Promise<void> {
    await Promise.all(this.up.map((member) => member.count(PING_TIMEOUT_MS)));
  }

  #ping(): void {
    for (const member of this.up) {
      member.unanswered += 1;
      if (member.unanswered > MAX_UNANSWERED) {
        this.#options.log.error({ worker: member.id, worker_pid: member.pid }, 'a worker hangs and is killed');
        member.kill();
        continue;
      }
      void member.count(PING_TIMEOUT_MS);
    }
  }
}
