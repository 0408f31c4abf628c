import { ClickHouseException } from './exception.ts';

export interface BulkheadOptions {
  readonly concurrency: number;
  /** How many may wait; past it a query is refused. */
  readonly queue: number;
}

/**
 * A bulkhead: at most `concurrency` at once, at most `queue` waiting. Readers and writers have one each, so that heavy
 * queries never keep an insert from starting.
 */
export class Bulkhead {
  readonly name: string;
  readonly #options: BulkheadOptions;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(name: string, options: BulkheadOptions) {
    this.name = name;
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Resolves with the release function once there is room.
   *
   * @throws {ClickHouseException} TOO_MANY_SIMULTANEOUS_QUERIES at once when the queue is full; QUERY_WAS_CANCELLED
   * when `signal` aborts while waiting.
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (this.#running < this.#options.concurrency) this.#running += 1;
    else await this.#wait(signal);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const next = this.#waiting.shift();
      // The place passes on without being given back, so nobody can slip in between.
      if (next) next();
      else this.#running -= 1;
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    const { concurrency, queue } = this.#options;
    if (this.#waiting.length >= queue) {
      throw new ClickHouseException(
        'TOO_MANY_SIMULTANEOUS_QUERIES',
        `Too many simultaneous queries. Maximum: ${concurrency} running and ${queue} waiting (${this.name} lane)`,
      );
    }
    return new Promise((resolve, reject) => {
      const proceed = () => {
        signal.removeEventListener('abort', give);
        resolve();
      };
      const give = () => {
        this.#waiting.splice(this.#waiting.indexOf(proceed), 1);
        reject(new ClickHouseException('QUERY_WAS_CANCELLED', 'Query was cancelled while it waited'));
      };
      this.#waiting.push(proceed);
      signal.addEventListener('abort', give, { once: true });
    });
  }
}
