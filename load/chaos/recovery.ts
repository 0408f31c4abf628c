import type { Clock } from '../../services/core/clock.ts';

export interface RecoveryOptions {
  /** Which of these messages have a row now. */
  readonly visible: (ids: readonly string[]) => Promise<readonly string[]>;
  readonly clock: Clock;
  readonly pollEveryMs: number;
}

/** Messages sent after a fault's end whose rows must be there: several, since one message is in one partition only. */
const MARKERS = 5;

interface Watch {
  readonly waiting: Set<string>;
  readonly startedMs: number;
  markers: number;
  readonly recovered: (tookMs: number) => void;
}

/** Recovery: from the end of a fault until messages that were sent after it have their rows. */
export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #watches = new Set<Watch>();
  #stopped = false;
  #polling: Promise<void> = Promise.resolve();

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  start(): void {
    this.#polling = this.#poll();
  }

  /** Events that have not been recovered from. */
  get open(): number {
    return this.#watches.size;
  }

  /** To be called at a fault's end. */
  watch(recovered: (tookMs: number) => void): void {
    const startedMs = this.#options.clock.monotonicMs();
    this.#watches.add({ waiting: new Set(), startedMs, markers: 0, recovered });
  }

  /** Every message, as it is sent. */
  sent(id: string): void {
    for (const watch of this.#watches) {
      if (watch.markers >= MARKERS) continue;
      watch.markers++;
      watch.waiting.add(id);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#polling;
  }

  async #poll(): Promise<void> {
    const { visible, pollEveryMs } = this.#options;
    while (!this.#stopped) {
      const ids = new Set([...this.#watches].flatMap(({ waiting }) => [...waiting]));
      try {
        this.#seen(ids.size === 0 ? [] : await visible([...ids]));
      } catch {
        // ClickHouse is one of the parts that are killed: asked again.
      }
      await new Promise((resolve) => setTimeout(resolve, pollEveryMs));
    }
  }

  #seen(ids: readonly string[]): void {
    const now = this.#options.clock.monotonicMs();
    for (const watch of this.#watches) {
      for (const id of ids) watch.waiting.delete(id);
      if (watch.markers < MARKERS || watch.waiting.size > 0) continue;
      this.#watches.delete(watch);
      watch.recovered(now - watch.startedMs);
    }
  }
}
