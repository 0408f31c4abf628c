import type { Insight } from '../../client/frames.ts';
import type { Clock } from '../../core/clock.ts';

/** Insights of one run; each message counts once, however often it is analysed again. */
export interface InsightCounts {
  /** Messages whose final outcome came. */
  final: number;
  /** Early answers, besides. */
  provisional: number;
  /** Messages that were acked and whose final outcome did not come in time. */
  missing: number;
}

const POLL_MS = 50;

/** Counts the insights of all bots of a run, and waits for those that are still to come. */
export class InsightCount {
  #final = 0;
  #provisional = 0;
  readonly #runId: string;

  constructor(runId: string) {
    this.#runId = runId;
  }

  readonly onInsight = ({ id, provisional, revision }: Insight): void => {
    // A new connection looks back some seconds: these may be another run's.
    if (!id.startsWith(this.#runId)) return;
    if (provisional) this.#provisional += 1;
    else if (revision === 0) this.#final += 1;
  };

  /** At most `boundMs`, and no longer than the signal allows. */
  async wait(acked: number, boundMs: number, clock: Clock, signal: AbortSignal): Promise<InsightCounts> {
    const deadline = clock.monotonicMs() + boundMs;
    while (this.#final < acked && clock.monotonicMs() < deadline && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return { final: this.#final, provisional: this.#provisional, missing: Math.max(acked - this.#final, 0) };
  }
}
