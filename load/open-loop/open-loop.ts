import type { Clock } from '../../services/core/clock.ts';
import { within } from '../../services/core/within.ts';
import { LatencyHistogram } from '../../services/operator/latency-histogram.ts';
import type { NextTurn } from '../kit/chats.ts';

export interface LoadMessage extends NextTurn {
  readonly id: string;
  readonly sent_at: number;
}

export interface OpenLoopOptions {
  readonly bots: readonly { send(message: LoadMessage): Promise<void> }[];
  readonly nextTurn: (bot: number) => NextTurn;
  /** Milliseconds from the start, ascending. */
  readonly arrivals: Iterable<number>;
  readonly runId: string;
  /** Arrivals before this are sent but not measured. */
  readonly warmUpMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** After a message was handed over; `intendedMs` on the clock's monotonic scale. */
  readonly onSent?: (message: LoadMessage, intendedMs: number) => void;
}

/** A generator that is behind lets acks in this often, else they would look as late as it is. */
const MAX_HOLD_MS = 2;

/**
 * Sends by the schedule whether or not earlier messages were acked. Latency counts from the intended moment, so that a
 * stall is felt by every message that was due in it (no coordinated omission); `lateness` shows how far the generator
 * itself was behind: where it is large, this machine was too busy for the figures to be the gateway's.
 */
export class OpenLoop {
  readonly ackLatency = new LatencyHistogram();
  readonly lateness = new LatencyHistogram();
  sent = 0;
  acked = 0;
  readonly refused: Record<string, number> = {};
  readonly #options: OpenLoopOptions;
  #settle: () => void = () => {};

  constructor(options: OpenLoopOptions) {
    this.#options = options;
  }

  get unsettled(): number {
    return this.sent - this.acked - Object.values(this.refused).reduce((sum, count) => sum + count, 0);
  }

  /** Ends when the schedule does, or at an abort; acks may still be outstanding. */
  async run(): Promise<void> {
    const { arrivals, clock, signal, warmUpMs } = this.#options;
    const started = clock.monotonicMs();
    let yieldedAt = started;
    for (const arrival of arrivals) {
      const intended = started + arrival;
      const now = clock.monotonicMs();
      // Timers have a grain of a millisecond: what is due within it goes out at once.
      if (intended - now >= 1) {
        await new Promise((resolve) => setTimeout(resolve, intended - now));
        yieldedAt = clock.monotonicMs();
      } else if (now - yieldedAt >= MAX_HOLD_MS) {
        await new Promise((resolve) => setImmediate(resolve));
        yieldedAt = clock.monotonicMs();
      }
      if (signal.aborted) return;
      this.#send(intended, arrival >= warmUpMs);
    }
  }

  /** Waits for outstanding acks. @returns whether all came within the bound. */
  async settled(timeoutMs: number): Promise<boolean> {
    if (this.unsettled === 0) return true;
    const done = new Promise<void>((resolve) => {
      this.#settle = resolve;
    });
    await within(timeoutMs, done, () => undefined);
    return this.unsettled === 0;
  }

  #send(intended: number, measured: boolean): void {
    const { bots, nextTurn, runId, clock, random, onSent } = this.#options;
    const bot = Math.floor(random() * bots.length);
    const message = { ...nextTurn(bot), id: `${runId}-${this.sent}`, sent_at: clock.now() };
    this.sent++;
    if (measured) this.lateness.record(clock.monotonicMs() - intended);
    const connection = bots[bot];
    if (!connection) throw new Error('there are no bots');
    connection.send(message).then(
      () => {
        this.acked++;
        if (measured) this.ackLatency.record(clock.monotonicMs() - intended);
        if (this.unsettled === 0) this.#settle();
      },
      (error: { code?: string }) => {
        const code = error.code ?? 'failed';
        this.refused[code] = (this.refused[code] ?? 0) + 1;
        if (this.unsettled === 0) this.#settle();
      },
    );
    onSent?.(message, intended);
  }
}
