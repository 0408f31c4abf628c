import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, type Exit, serviceCommand } from '../../services/local/testing/stack.ts';
import { type ProcSample, sampleProcess } from '../kit/proc-stat.ts';
import type { LoopDelay } from './run-figures.ts';

/** What is measured: the enricher, the baseline, or the service as users first write it. */
export const SYSTEMS = ['parley', 'baseline', 'naive'] as const;
export type SystemName = (typeof SYSTEMS)[number];

/** Subjects, and what some runs need beside them. */
export type ProgramName = SystemName | 'sink';

/** The program, after the flags that it is run with. */
const PROGRAMS: Record<ProgramName, readonly string[]> = {
  parley: serviceCommand('enricher').args,
  baseline: [join(import.meta.dirname, 'baseline.ts')],
  naive: [join(import.meta.dirname, 'naive.ts')],
  sink: serviceCommand('sink').args,
};
const PROBE = join(import.meta.dirname, 'loop-probe.ts');
const SAMPLE_MS = 25;
const LAST_WORDS = 4_000;

export interface StartOptions {
  /** Flags of Node, before the program. */
  readonly nodeArgs?: readonly string[] | undefined;
  /** Watch the event loop, see `loop-probe.ts`. */
  readonly probeLoop?: boolean | undefined;
}

export interface SystemOptions extends StartOptions {
  readonly name: ProgramName;
  readonly env: Readonly<Record<string, string>>;
}

/** One program under test as a process, watched through `/proc` from its start to its end. */
export class SystemUnderTest {
  readonly pid: number;
  readonly samples: ProcSample[] = [];
  readonly exited: Promise<Exit>;
  readonly #child: Child;
  readonly #timer: NodeJS.Timeout;
  readonly #probed: boolean;
  #loopDelay: LoopDelay | null = null;
  #output = '';
  #ended = false;

  private constructor(child: Child, runDir: string, probeFile: string | undefined) {
    this.#child = child;
    this.pid = child.pid;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#probed = probeFile !== undefined;
    this.exited = child.exited.then(async (exit) => {
      this.#ended = true;
      clearInterval(this.#timer);
      if (probeFile && existsSync(probeFile)) this.#loopDelay = JSON.parse(await readFile(probeFile, 'utf8'));
      await rm(runDir, { recursive: true, force: true });
      return exit;
    });
  }

  static async start({ name, env, nodeArgs = [], probeLoop = false }: SystemOptions): Promise<SystemUnderTest> {
    const runDir = await mkdtemp(join(tmpdir(), 'parley-bench-'));
    const probeFile = join(runDir, 'loop.json');
    let onOutput: (chunk: Buffer) => void = () => undefined;
    const child = await Child.start({
      command: process.execPath,
      args: [...(probeLoop ? ['--import', PROBE] : []), ...nodeArgs, ...PROGRAMS[name]],
      env: { ...process.env, ADMIN_PORT: '0', PARLEY_RUN_DIR: runDir, PROBE_FILE: probeFile, ...env },
      onOutput: (chunk) => onOutput(chunk),
    });
    const system = new SystemUnderTest(child, runDir, probeLoop ? probeFile : undefined);
    onOutput = (chunk) => {
      system.#output = (system.#output + chunk.toString()).slice(-LAST_WORDS);
    };
    return system;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The end of its output. */
  get lastWords(): string {
    return this.#output;
  }

  get maxRssBytes(): number {
    return this.samples.reduce((most, { rssBytes }) => Math.max(most, rssBytes), 0);
  }

  /** How late its event loop was, known once it has ended by itself or by TERM; `null` without the probe. */
  get loopDelay(): LoopDelay | null {
    return this.#loopDelay;
  }

  /** What the probe saw so far does not count. */
  restartProbe(): void {
    if (this.#probed) this.#child.signal('SIGUSR2');
  }

  /** TERM and, where that does not end it, KILL. */
  async stop(): Promise<void> {
    await this.#child.stop(20_000);
    await this.exited;
  }

  async kill(): Promise<void> {
    this.#child.signal('SIGKILL');
    await this.exited;
  }

  #sample(): void {
    try {
      const sample = sampleProcess(this.pid);
      // A process that has ended and was not waited for yet has no memory.
      if (!Number.isNaN(sample.rssBytes)) this.samples.push(sample);
    } catch {
      // The process has just ended; `exited` resolves with how.
    }
  }
}
