import type { Worker } from 'node:cluster';
import { type ErrorCode, ParleyError } from '../../core/errors.ts';
import type { MetricsSnapshot } from '../../platform/metrics.ts';
import { Channel, type Handlers } from './channel.ts';

export type MemberState = 'starting' | 'up' | 'retiring' | 'gone';

export interface MemberExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Notice of a worker that is up. */
export interface UpNotice {
  readonly url: string;
}

/** Why a worker could not start. */
export interface FailedNotice {
  readonly code: ErrorCode | null;
  readonly message: string;
}

export const describeMemberExit = ({ code, signal }: MemberExit): string =>
  signal === null ? `exit code ${code}` : `signal ${signal}`;

/** A worker process as the supervisor sees it: starting → up → retiring → gone. */
export class Member {
  readonly id: number;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly channel: Channel;
  /** Resolves with the worker's URL; rejects when it ends before it is up. */
  readonly up: Promise<string>;
  readonly exited: Promise<MemberExit>;
  /** Pings in a row without an answer. */
  unanswered = 0;
  connections = 0;
  /** Its last metrics, for the totals once it is gone. */
  lastMetrics: MetricsSnapshot | undefined;
  readonly #worker: Worker;
  #state: MemberState = 'starting';
  #wasRetired = false;

  constructor(worker: Worker, handlers: Handlers, nowMs: number) {
    this.#worker = worker;
    this.id = worker.id;
    this.pid = worker.process.pid ?? 0;
    this.startedAtMs = nowMs;
    const up = Promise.withResolvers<string>();
    this.up = up.promise;
    // Without a waiter its end is reported by `exited`.
    this.up.catch(() => {});
    let failure: FailedNotice | undefined;
    this.channel = new Channel(worker as never, {
      ...handlers,
      up: ({ url }: UpNotice) => {
        if (this.#state === 'starting') this.#state = 'up';
        up.resolve(url);
      },
      failed: (notice: FailedNotice) => {
        failure = notice;
      },
      farewell: (metrics: MetricsSnapshot) => {
        this.lastMetrics = metrics;
      },
    });
    // The channel is gone; its `exit` follows.
    worker.on('error', () => {});
    this.exited = new Promise((resolve) => {
      worker.on('exit', (code, signal) => {
        this.#state = 'gone';
        this.channel.close();
        const exit = { code, signal: signal || null };
        up.reject(failureOf(failure, exit));
        resolve(exit);
      });
    });
  }

  get state(): MemberState {
    return this.#state;
  }

  /** Whether its end is no accident. */
  get wasRetired(): boolean {
    return this.#wasRetired;
  }

  /** Takes no further connections from now on. */
  retire(): void {
    if (this.#state === 'gone') return;
    this.#wasRetired = true;
    this.#state = 'retiring';
    this.channel.notify('stop-listening', null);
  }

  /** Asks it how many connections it has: an answer is a sign of life. */
  async count(timeoutMs: number): Promise<void> {
    await this.channel.request<{ connections: number }>('ping', null, timeoutMs).then(
      ({ connections }) => {
        this.unanswered = 0;
        this.connections = connections;
      },
      () => {},
    );
  }

  /** Drains it and waits for its end; it is killed after the bound. */
  async drain(boundMs: number): Promise<MemberExit> {
    this.#wasRetired = true;
    if (this.#state !== 'gone') this.#state = 'retiring';
    this.channel.notify('drain', null);
    const timer = setTimeout(() => this.kill(), boundMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  kill(): void {
    if (this.#state !== 'gone') this.#worker.process.kill('SIGKILL');
  }
}

function failureOf(failure: FailedNotice | undefined, exit: MemberExit): Error {
  if (!failure) return new Error(`a worker ended with ${describeMemberExit(exit)} before it was up`);
  return failure.code ? new ParleyError(failure.code, failure.message) : new Error(failure.message);
}
