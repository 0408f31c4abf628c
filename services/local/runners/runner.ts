import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { Part } from '../parts/part.ts';
import type { Exit } from '../process/child.ts';

const PROBE_INTERVAL_MS = 100;
const PROBE_TIMEOUT_MS = 3_000;

export type PartEvent =
  | { readonly type: 'starting'; readonly part: string }
  | { readonly type: 'ready'; readonly part: string; readonly elapsedMs: number }
  | { readonly type: 'exited'; readonly part: string; readonly exit: Exit; readonly restartInMs: number }
  | { readonly type: 'stopping'; readonly part: string }
  | { readonly type: 'stopped'; readonly part: string; readonly elapsedMs: number }
  | { readonly type: 'output'; readonly part: string; readonly chunk: Buffer };

export interface RestartPolicy {
  /** So many ends within `windowMs` are a crash loop. */
  readonly limit: number;
  readonly windowMs: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

export interface RunnerDeps {
  readonly logDir: string;
  readonly pidDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly random: () => number;
  readonly restart: RestartPolicy;
  readonly emit: (event: PartEvent) => void;
}

/** Runs one part until it is stopped. */
export interface Runner {
  readonly part: Part;
  readonly pid: number | undefined;
  /** Resolves at the first readiness; rejects when that cannot be reached. */
  readonly start: () => Promise<void>;
  /** Rejects with the reason once the part cannot be kept up; never resolves before `stop`. */
  readonly ended: Promise<void>;
  readonly stop: () => Promise<void>;
  readonly kill: () => void;
}

/** Asks until the answer is yes. @throws the last refusal once `signal` aborts. */
export async function untilReady(part: Part, pid: number | undefined, signal: AbortSignal): Promise<void> {
  let refusal: unknown = new Error('it was not asked yet');
  while (!signal.aborted) {
    try {
      await part.ready({ pid, signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]) });
      return;
    } catch (error) {
      if (!signal.aborted) refusal = error;
    }
    await sleep(PROBE_INTERVAL_MS, undefined, { signal }).catch(() => {});
  }
  throw refusal;
}

export const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

/** `fetch failed` says nothing; its cause does. */
export function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return messageOf(cause) || String((cause as NodeJS.ErrnoException).code);
}
