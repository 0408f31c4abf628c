const PING = '{"type":"ping"}';

/** The part of a session that is watched. */
interface Watched {
  send(data: string): void;
  terminate(problem: string): void;
}

export interface SilenceWatchOptions {
  /** Whether the gateway's own pings are reported by {@link SilenceWatch.heard}. */
  readonly seesPings: boolean;
  /** How long messages may wait without an answer to any of them. */
  readonly answerTimeoutMs: number;
  readonly expectsAnswer: () => boolean;
}

/**
 * Ends connections that are dead without saying so. A half-open one never reports its end: two ping intervals without a sign
 * of life are one. Where the gateway's pings cannot be seen, it is asked for a `pong` after the first. Intervals are counted,
 * not added up: a laptop that slept, or a page in the background whose timers are held back, does not lose a connection that
 * lives. And one that lives but answers nothing is as good as dead.
 */
export class SilenceWatch {
  readonly #options: SilenceWatchOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  #silentIntervals = 0;
  #answeredAtMs = 0;

  constructor(options: SilenceWatchOptions) {
    this.#options = options;
  }

  start(connection: Watched, intervalMs: number): void {
    this.stop();
    this.#silentIntervals = 0;
    this.answered();
    this.#timer = setInterval(() => this.#look(connection, intervalMs), intervalMs);
  }

  heard(): void {
    this.#silentIntervals = 0;
  }

  answered(): void {
    this.#answeredAtMs = performance.now();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(connection: Watched, intervalMs: number): void {
    const { seesPings, answerTimeoutMs, expectsAnswer } = this.#options;
    this.#silentIntervals += 1;
    if (!expectsAnswer()) this.answered();
    if (this.#silentIntervals > 2) connection.terminate(`no sign of life for ${2 * intervalMs} ms`);
    else if (performance.now() - this.#answeredAtMs > answerTimeoutMs) {
      connection.terminate(`no answer to any message for ${answerTimeoutMs} ms`);
    } else if (this.#silentIntervals === 2 && !seesPings) connection.send(PING);
  }
}
