import { setTimeout as sleep } from 'node:timers/promises';
import { ParleyError } from '../../core/errors.ts';
import type { ProcessPart } from '../parts/part.ts';
import { Child, describeExit, type Exit } from '../process/child.ts';
import { forgetProcess, recordProcess } from '../process/leftovers.ts';
import { LogFile } from '../process/log-file.ts';
import { lastWords, startLine } from './last-words.ts';
import { causeOf, type Runner, type RunnerDeps, seconds, untilReady } from './runner.ts';

/** A service's exit code for a wrong configuration, which no restart cures. */
const EXIT_CONFIGURATION = 2;

/** A process that is started again, with backoff, whenever it ends by itself; too often in a window is the end. */
export class ProcessRunner implements Runner {
  readonly part: ProcessPart;
  readonly ended: Promise<void>;
  readonly #deps: RunnerDeps;
  readonly #log: LogFile;
  readonly #stop = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  readonly #ready = Promise.withResolvers<void>();
  #child: Child | undefined;
  #loop: Promise<void> | undefined;
  #endings: number[] = [];

  constructor(part: ProcessPart, deps: RunnerDeps) {
    this.part = part;
    this.#deps = deps;
    this.#log = new LogFile(`${deps.logDir}/${part.name}.log`);
    this.ended = this.#ended.promise;
    // Both reject on failure; a caller awaits the one that it needs.
    this.ended.catch(() => {});
    this.#ready.promise.catch(() => {});
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): Promise<void> {
    this.#loop = this.#keepUp().catch((error: unknown) => {
      this.#ready.reject(error);
      this.#ended.reject(error);
    });
    return this.#ready.promise;
  }

  async stop(): Promise<void> {
    const started = this.#deps.clock.monotonicMs();
    const wasRunning = this.#child !== undefined;
    this.#stop.abort();
    if (wasRunning) this.#deps.emit({ type: 'stopping', part: this.part.name });
    await this.#child?.stop(this.part.stopGraceMs);
    await this.#loop;
    if (wasRunning) await this.part.afterStop?.();
    this.#ready.reject(new Error(`${this.part.name} was stopped`));
    this.#log.close();
    const elapsedMs = this.#deps.clock.monotonicMs() - started;
    if (wasRunning) this.#deps.emit({ type: 'stopped', part: this.part.name, elapsedMs });
  }

  kill(): void {
    this.#child?.signal('SIGKILL');
  }

  async #keepUp(): Promise<void> {
    this.#deps.emit({ type: 'starting', part: this.part.name });
    let started = this.#deps.clock.monotonicMs();
    await this.part.prepare?.();
    for (let isFirst = true; !this.#stop.signal.aborted; isFirst = false) {
      const exit = await this.#runOnce(started, isFirst);
      if (this.#stop.signal.aborted) return;
      const restartInMs = this.#decide(exit);
      this.#deps.emit({ type: 'exited', part: this.part.name, exit, restartInMs });
      await sleep(restartInMs, undefined, { signal: this.#stop.signal }).catch(() => {});
      started = this.#deps.clock.monotonicMs();
    }
  }

  async #runOnce(started: number, isFirst: boolean): Promise<Exit> {
    const { name, command, args, env } = this.part;
    this.#log.write(Buffer.from(startLine()));
    const child = await Child.start({
      command,
      args,
      env: { ...this.#deps.env, ...env },
      onOutput: (chunk) => {
        this.#log.write(chunk);
        this.#deps.emit({ type: 'output', part: name, chunk });
      },
    });
    this.#child = child;
    // The part was stopped while this child was being made: no other code has seen the child.
    if (this.#stop.signal.aborted) child.signal('SIGTERM');
    await recordProcess(this.#deps.pidDir, name, child.pid);
    const gone = new AbortController();
    const exited = child.exited.finally(() => gone.abort());
    try {
      await this.#awaitReady(child, started, isFirst, gone.signal);
      return await exited;
    } finally {
      this.#child = undefined;
      await forgetProcess(this.#deps.pidDir, name);
    }
  }

  /** Only the first start is bounded: later the parts it needs may be away for longer, and it is not at fault. */
  async #awaitReady(child: Child, started: number, isFirst: boolean, gone: AbortSignal): Promise<void> {
    const { name, readyTimeoutMs } = this.part;
    const ends = [gone, this.#stop.signal];
    const signal = AbortSignal.any(isFirst ? [...ends, AbortSignal.timeout(readyTimeoutMs)] : ends);
    try {
      await untilReady(this.part, child.pid, signal);
      this.#deps.emit({ type: 'ready', part: name, elapsedMs: this.#deps.clock.monotonicMs() - started });
      this.#ready.resolve();
    } catch (error) {
      if (ends.some(({ aborted }) => aborted)) return;
      await child.stop(this.part.stopGraceMs);
      throw new ParleyError(
        'NOT_READY',
        `${name} was not ready within ${seconds(readyTimeoutMs)}: ${causeOf(error)}. ${lastWords(this.#log)}`,
      );
    }
  }

  /** The delay before the next start. @throws {ParleyError} when starting it again makes no sense. */
  #decide(exit: Exit): number {
    const { name } = this.part;
    const { limit, windowMs, baseDelayMs, maxDelayMs } = this.#deps.restart;
    if (exit.code === EXIT_CONFIGURATION) {
      throw new ParleyError('CONFIG_INVALID', `${name} refuses its configuration. ${lastWords(this.#log)}`);
    }
    const now = this.#deps.clock.monotonicMs();
    this.#endings = [...this.#endings.filter((at) => at > now - windowMs), now];
    if (this.#endings.length >= limit) {
      throw new ParleyError(
        'SERVICE_CRASH_LOOP',
        `${name} ended ${this.#endings.length} times within ${seconds(windowMs)}, last with ${describeExit(exit)}. ${lastWords(this.#log)}`,
      );
    }
    // Full jitter: parts that fell over together do not come back together.
    return this.#deps.random() * Math.min(maxDelayMs, baseDelayMs * 2 ** (this.#endings.length - 1));
  }
}
