import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, type Exit } from '../../services/local/testing/stack.ts';
import { type ProcSample, sampleProcess } from './proc-stat.ts';

/** What is measured: the enricher, the floor, or the service as users first write it. */
export const SUBJECTS = ['parley', 'floor', 'naive'] as const;
export type SubjectName = (typeof SUBJECTS)[number];

/** Subjects, and what some runs need beside them. */
export type ProgramName = SubjectName | 'sink';

const SERVICES = join(import.meta.dirname, '../../services');
const PROGRAMS: Record<ProgramName, string> = {
  parley: join(SERVICES, 'enricher/main.ts'),
  floor: join(import.meta.dirname, 'floor.ts'),
  naive: join(import.meta.dirname, 'naive.ts'),
  sink: join(SERVICES, 'sink/main.ts'),
};
const SAMPLE_MS = 25;
const LAST_WORDS = 4_000;

export interface SubjectOptions {
  readonly name: ProgramName;
  readonly env: Readonly<Record<string, string>>;
  /** Flags of Node, before the program. */
  readonly nodeArgs?: readonly string[];
}

/** One program under test as a process, watched through `/proc` from its start to its end. */
export class Subject {
  readonly pid: number;
  readonly samples: ProcSample[] = [];
  readonly exited: Promise<Exit>;
  readonly #child: Child;
  readonly #timer: NodeJS.Timeout;
  #output = '';
  #ended = false;

  private constructor(child: Child) {
    this.#child = child;
    this.pid = child.pid;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
    this.exited = child.exited.then((exit) => {
      this.#ended = true;
      clearInterval(this.#timer);
      return exit;
    });
  }

  static async start({ name, env, nodeArgs = [] }: SubjectOptions): Promise<Subject> {
    const runDir = await mkdtemp(join(tmpdir(), 'parley-bench-'));
    let onOutput: (chunk: Buffer) => void = () => undefined;
    const child = await Child.start({
      command: process.execPath,
      args: [...nodeArgs, PROGRAMS[name]],
      env: { ...process.env, ADMIN_PORT: '0', PARLEY_RUN_DIR: runDir, ...env },
      onOutput: (chunk) => onOutput(chunk),
    });
    const subject = new Subject(child);
    onOutput = (chunk) => {
      subject.#output = (subject.#output + chunk.toString()).slice(-LAST_WORDS);
    };
    void child.exited.then(() => rm(runDir, { recursive: true, force: true }));
    return subject;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The last that it wrote. */
  get lastWords(): string {
    return this.#output;
  }

  get maxRssBytes(): number {
    return this.samples.reduce((most, { rssBytes }) => Math.max(most, rssBytes), 0);
  }

  /** TERM and, where that does not end it, KILL. */
  async stop(): Promise<void> {
    await this.#child.stop(20_000);
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
      // It has just ended, which `exited` tells.
    }
  }
}
