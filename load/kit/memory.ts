import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { BreakablePart } from '../../services/local/testing/breakable-stack.ts';

const run = promisify(execFile);
const SAMPLE_MS = 1_000;

const PHASES = ['before', 'away', 'after'] as const;
type Phase = (typeof PHASES)[number];

/** Most resident memory of one process in each phase, MiB. */
export interface MemoryPeak {
  readonly part: string;
  readonly before_mib: number;
  readonly away_mib: number;
  readonly after_mib: number;
}

/** Samples the resident memory of processes once a second, by phase of a run. */
export class Memory {
  readonly #parts: ReadonlyMap<string, BreakablePart>;
  readonly #names: readonly string[];
  readonly #peaks = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  #phase: Phase | undefined;

  constructor(parts: ReadonlyMap<string, BreakablePart>, names: readonly string[]) {
    this.#parts = parts;
    this.#names = names;
    this.#timer = setInterval(() => void this.#sample(), SAMPLE_MS);
  }

  begin(phase: Phase): void {
    this.#phase = phase;
  }

  peaks(): MemoryPeak[] {
    return this.#names.map((part) => {
      const [before_mib = 0, away_mib = 0, after_mib = 0] = PHASES.map((phase) => this.#peaks.get(`${phase} ${part}`));
      return { part, before_mib, away_mib, after_mib };
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #sample(): Promise<void> {
    const phase = this.#phase;
    if (!phase) return;
    const byPid = new Map(this.#names.map((name) => [this.#parts.get(name)?.pid, name]));
    const pids = [...byPid.keys()].filter((pid) => pid !== undefined);
    // Kilobytes, on every Unix. Of none of the processes there: an error, and the next sample tells.
    const { stdout } = await run('ps', ['-o', 'pid=,rss=', '-p', pids.join(',')]).catch(() => ({ stdout: '' }));
    for (const line of stdout.trim().split('\n')) {
      const [pid = 0, kib = 0] = line.trim().split(/\s+/).map(Number);
      const key = `${phase} ${byPid.get(pid)}`;
      this.#peaks.set(key, Math.max(this.#peaks.get(key) ?? 0, Math.round(kib / 1_024)));
    }
  }
}
