import { type Clock, systemClock } from '../core/clock.ts';
import type { Part } from './parts/part.ts';
import { assertPortFree } from './ports.ts';
import { ExternalRunner } from './runners/external-runner.ts';
import { ProcessRunner } from './runners/process-runner.ts';
import type { PartEvent, RestartPolicy, Runner } from './runners/runner.ts';

export interface SupervisorOptions {
  readonly parts: readonly Part[];
  readonly logDir: string;
  readonly pidDir: string;
  /** What every part's environment starts from. */
  readonly env: NodeJS.ProcessEnv;
  readonly emit: (event: PartEvent) => void;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly restart?: RestartPolicy;
}

const RESTART: RestartPolicy = { limit: 5, windowMs: 60_000, baseDelayMs: 500, maxDelayMs: 10_000 };

/** Names that this part waits for when stopping in reverse. */
const outlivedBy = (part: Part): readonly string[] =>
  part.kind === 'process' ? [...part.needs, ...(part.beside ?? [])] : part.needs;

/**
 * Starts the parts, each once those it needs are ready, keeps them up, and stops them in reverse order: a part stops
 * when everything that needs it has stopped.
 */
export class Supervisor {
  /** Rejects once a part cannot be kept up. */
  readonly failed: Promise<void>;
  readonly #runners: ReadonlyMap<string, Runner>;
  #stopping: Promise<void> | undefined;

  constructor(options: SupervisorOptions) {
    const deps = { clock: systemClock, random: Math.random, restart: RESTART, ...options };
    this.#runners = new Map(
      options.parts.map((part) => [
        part.name,
        part.kind === 'process' ? new ProcessRunner(part, deps) : new ExternalRunner(part, deps),
      ]),
    );
    this.failed = Promise.race([...this.#runners.values()].map(({ ended }) => ended));
    this.failed.catch(() => {});
  }

  /**
   * Resolves when all are ready. On the first that cannot be, the rest is stopped.
   *
   * @throws {ParleyError} saying which part and why.
   */
  async start(): Promise<void> {
    for (const { part } of this.#runners.values()) {
      if (part.kind === 'process') await Promise.all(part.ports.map((claim) => assertPortFree(part.name, claim)));
    }
    const begun = new Map<string, Promise<void>>();
    const begin = (name: string): Promise<void> => {
      const known = begun.get(name);
      if (known) return known;
      const runner = this.#runner(name);
      const ready = Promise.all(runner.part.needs.map(begin)).then(async () => {
        if (!this.#stopping) await runner.start();
      });
      begun.set(name, ready);
      return ready;
    };
    try {
      await Promise.all([...this.#runners.keys()].map(begin));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  pidOf(name: string): number | undefined {
    return this.#runner(name).pid;
  }

  /** Idempotent: every call waits for the one stop. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  /** Ends everything at once, without a drain. */
  kill(): void {
    for (const runner of this.#runners.values()) runner.kill();
  }

  async #stopAll(): Promise<void> {
    const begun = new Map<string, Promise<void>>();
    const stop = (name: string): Promise<void> => {
      const known = begun.get(name);
      if (known) return known;
      const dependents = [...this.#runners.values()].filter(({ part }) => outlivedBy(part).includes(name));
      const stopped = Promise.all(dependents.map(({ part }) => stop(part.name))).then(() => this.#runner(name).stop());
      begun.set(name, stopped);
      return stopped;
    };
    await Promise.all([...this.#runners.keys()].map(stop));
  }

  #runner(name: string): Runner {
    const runner = this.#runners.get(name);
    if (!runner) throw new Error(`there is no part named ${name}`);
    return runner;
  }
}
