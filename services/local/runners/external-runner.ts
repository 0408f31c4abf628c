import { ParleyError } from '../../core/errors.ts';
import type { ExternalPart } from '../parts/part.ts';
import { causeOf, type Runner, type RunnerDeps, seconds, untilReady } from './runner.ts';

const withoutCredentials = (address: string): string => address.replace(/\/\/[^/@]*@/, '//');

/** A part that runs elsewhere: waited for at start, then left alone. */
export class ExternalRunner implements Runner {
  readonly part: ExternalPart;
  readonly pid = undefined;
  readonly ended = new Promise<void>(() => {});
  readonly #deps: RunnerDeps;
  readonly #stop = new AbortController();

  constructor(part: ExternalPart, deps: RunnerDeps) {
    this.part = part;
    this.#deps = deps;
  }

  async start(): Promise<void> {
    const { name, address, variable, readyTimeoutMs } = this.part;
    const started = this.#deps.clock.monotonicMs();
    try {
      await untilReady(this.part, undefined, AbortSignal.any([this.#stop.signal, AbortSignal.timeout(readyTimeoutMs)]));
    } catch (error) {
      const why = causeOf(error);
      throw new ParleyError(
        'NOT_READY',
        `${name} at ${withoutCredentials(address)} (${variable}) did not answer within ${seconds(readyTimeoutMs)}: ${why}.`,
      );
    }
    this.#deps.emit({ type: 'ready', part: name, elapsedMs: this.#deps.clock.monotonicMs() - started });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
  }

  kill(): void {
    this.#stop.abort();
  }
}
