import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../core/testing/eventually.ts';
import type { ProcessPart } from '../parts/part.ts';
import { Child } from '../process/child.ts';
import { LogFile } from '../process/log-file.ts';
import { lastWords, startLine } from '../runners/last-words.ts';
import { causeOf } from '../runners/runner.ts';

/** Doubled at each end that follows another at once, as the supervisor does: starts that lead nowhere cost the most. */
const RESTART_AFTER_MS = 500;
const MAX_RESTART_AFTER_MS = 8_000;
/** A process that stayed up for longer was well. */
const WELL_AFTER_MS = 30_000;
const PROBE_TIMEOUT_MS = 3_000;
/** Patience, not a bound on what is right: beside other work a part takes minutes to come up. */
const READY_TIMEOUT_MS = 240_000;

/**
 * A part that a test kills, freezes and starts again. What ends by itself, as a service that finds no broker when it
 * starts, is started again as the supervisor would, without end; `crashes` counts these ends.
 */
export class BreakablePart {
  readonly name: string;
  crashes = 0;
  /** Processes so far; the number names one of them. */
  lives = 0;
  readonly #part: ProcessPart;
  readonly #log: LogFile;
  #prepared = false;
  #wanted = false;
  #child: Child | undefined;
  #pause = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(part: ProcessPart, logDir: string) {
    this.name = part.name;
    this.#part = part;
    this.#log = new LogFile(join(logDir, `${part.name}.log`));
  }

  /** The process that runs now. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Brings it up and keeps it up; {@link ready} says when it is. */
  async start(): Promise<void> {
    if (this.#wanted) return;
    this.#wanted = true;
    if (!this.#prepared) await this.#part.prepare?.();
    this.#prepared = true;
    await this.#loop;
    this.#loop = this.#keepUp();
  }

  /** @throws with its last lines when it is not ready in time. */
  async ready(timeoutMs = READY_TIMEOUT_MS): Promise<void> {
    const probe = () => this.#part.ready({ pid: this.#child?.pid, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    await eventually(probe, { timeoutMs }).catch((error: unknown) => {
      throw new Error(`${this.name} is not ready: ${causeOf(error)}. ${lastWords(this.#log)}`);
    });
  }

  /** KILL; resolves when the process is gone. It stays down until {@link start}. */
  async kill(): Promise<void> {
    this.#wanted = false;
    this.#pause.abort();
    this.#child?.signal('SIGKILL');
    await this.#loop;
  }

  /** TERM, then KILL once the part's grace has passed. */
  async stop(): Promise<void> {
    this.#wanted = false;
    this.#pause.abort();
    await this.#child?.stop(this.#part.stopGraceMs);
    await this.#loop;
  }

  freeze(): void {
    this.#child?.signal('SIGSTOP');
  }

  thaw(): void {
    this.#child?.signal('SIGCONT');
  }

  async #keepUp(): Promise<void> {
    let restartAfterMs = RESTART_AFTER_MS;
    while (this.#wanted) {
      const startedMs = performance.now();
      this.#log.write(Buffer.from(startLine()));
      const { command, args, env } = this.#part;
      this.lives++;
      this.#child = await Child.start({
        command,
        args,
        env: { ...process.env, ...env },
        onOutput: (chunk) => this.#log.write(chunk),
      });
      // The part was ended while this child was being made: no other code has seen the child.
      if (!this.#wanted) this.#child.signal('SIGKILL');
      await this.#child.exited;
      this.#child = undefined;
      if (!this.#wanted) return;
      this.crashes++;
      if (performance.now() - startedMs > WELL_AFTER_MS) restartAfterMs = RESTART_AFTER_MS;
      this.#pause = new AbortController();
      await sleep(restartAfterMs, undefined, { signal: this.#pause.signal }).catch(() => {});
      restartAfterMs = Math.min(restartAfterMs * 2, MAX_RESTART_AFTER_MS);
    }
  }
}
