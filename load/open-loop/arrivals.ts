export type ArrivalProcess = 'poisson' | 'constant';

export interface ArrivalOptions {
  readonly process: ArrivalProcess;
  readonly ratePerS: number;
  readonly durationMs: number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/**
 * When messages are meant to be sent, in milliseconds from the start, ascending. The schedule is fixed beforehand and
 * does not wait for answers: that is what makes the run open-loop.
 */
export function* arrivals({ process, ratePerS, durationMs, random }: ArrivalOptions): Generator<number, void> {
  const meanGapMs = 1_000 / ratePerS;
  // An exponential gap: the time between independent arrivals.
  const gap = process === 'constant' ? () => meanGapMs : () => -Math.log(1 - random()) * meanGapMs;
  for (let at = gap(); at < durationMs; at += gap()) yield at;
}
