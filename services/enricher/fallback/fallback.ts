import type { Insight } from '../../core/records.ts';

export type LocalModel = (text: string) => Insight;

export interface FallbackOptions {
  /** Loads the model. */
  readonly load: () => Promise<LocalModel>;
  /** Share of the event loop's time that the model may take: 0.2 is 200 ms a second. */
  readonly cpuShare: number;
  /** Called after each analysis with the time it took. */
  readonly onRun?: (seconds: number) => void;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** Unused time that can be saved up: no burst longer than this holds up the event loop. */
const MAX_SAVED_MS = 20;
/** Time between two turns of the texts that wait. */
const TURN_MS = 10;

/**
 * The local model within its share of the event loop. Its time is measured as it runs and paid from an account that
 * fills at the share's rate; a run may overdraw it, and the next waits until it is paid back. So the share holds
 * whatever a text costs.
 */
export class Fallback {
  readonly #options: FallbackOptions;
  readonly #now: () => number;
  #model: LocalModel | undefined;
  #loading: Promise<void> | undefined;
  #savedMs = MAX_SAVED_MS;
  #filledAtMs: number;
  #waiting: Waiter[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FallbackOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#filledAtMs = this.#now();
  }

  /** Texts that wait for their turn. Bounded by the messages in flight. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Loads the model unless it is there: best before there is work, since loading holds up the event loop. */
  load(): Promise<void> {
    this.#loading ??= this.#options.load().then(
      (model) => {
        this.#model = model;
      },
      (error: unknown) => {
        // The next one tries again.
        this.#loading = undefined;
        throw error;
      },
    );
    return this.#loading;
  }

  /** An insight as soon as the share allows it, in order; undefined where its message needs none any more. */
  async inTurn(text: string, waiter: StillWanted): Promise<Insight | undefined> {
    if (this.#model === undefined) await this.load();
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ text, waiter, resolve, reject });
      this.#serve();
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const { resolve } of this.#waiting.splice(0)) resolve(undefined);
  }

  #serve(): void {
    const model = this.#model;
    if (this.#timer !== undefined || model === undefined) return;
    let served = 0;
    for (; served < this.#waiting.length; served++) {
      const { text, waiter, resolve, reject } = this.#waiting[served] as Waiter;
      if (!waiter.stillWanted()) {
        resolve(undefined);
        continue;
      }
      if (!this.#isSolvent()) break;
      try {
        resolve(this.#run(model, text));
      } catch (error) {
        reject(error);
      }
    }
    this.#waiting.splice(0, served);
    if (this.#waiting.length === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#serve();
    }, TURN_MS);
  }

  #isSolvent(): boolean {
    const now = this.#now();
    this.#savedMs = Math.min(this.#savedMs + (now - this.#filledAtMs) * this.#options.cpuShare, MAX_SAVED_MS);
    this.#filledAtMs = now;
    return this.#savedMs > 0;
  }

  #run(model: LocalModel, text: string): Insight {
    const started = this.#now();
    const insight = model(text);
    const tookMs = this.#now() - started;
    this.#savedMs -= tookMs;
    this.#options.onRun?.(tookMs / 1_000);
    return insight;
  }
}

interface StillWanted {
  /** False once its partition is lost. */
  stillWanted(): boolean;
}

interface Waiter {
  readonly text: string;
  readonly waiter: StillWanted;
  readonly resolve: (insight: Insight | undefined) => void;
  readonly reject: (error: unknown) => void;
}
