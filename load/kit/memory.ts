import type { BreakablePart } from '../../services/local/testing/breakable-stack.ts';
import { sampleProcess } from './proc-stat.ts';

const SAMPLE_MS = 1_000;

const PHASES = ['before', 'away', 'after'] as const;
type Phase = (typeof PHASES)[number];

/** Most resident memory of one process in each phase, MiB; 0 on anything but Linux. */
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
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
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

  #sample(): void {
    if (!this.#phase) return;
    for (const name of this.#names) {
      const pid = this.#parts.get(name)?.pid;
      const key = `${this.#phase} ${name}`;
      if (pid !== undefined) this.#peaks.set(key, Math.max(this.#peaks.get(key) ?? 0, residentMib(pid)));
    }
  }
}

function residentMib(pid: number): number {
  try {
    return Math.round(sampleProcess(pid).rssBytes / 2 ** 20) || 0;
  } catch {
    // The process has just ended, or this is no Linux.
    return 0;
  }
}
