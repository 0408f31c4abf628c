import type { PortClaim } from '../ports.ts';

/** What a readiness probe knows of the process it asks about. */
interface ProbeTarget {
  readonly pid: number | undefined;
  readonly signal: AbortSignal;
}

/** One attempt: resolves when the part is ready, rejects when it is not (yet). */
export type Probe = (target: ProbeTarget) => Promise<void>;

interface Common {
  readonly name: string;
  /** Parts that must be ready before this one is started, and that stop after it. */
  readonly needs: readonly string[];
  readonly ready: Probe;
  readonly readyTimeoutMs: number;
  /** Where users reach it, for the table; absent for a part that has no address. */
  readonly address?: string;
}

/** A process that the supervisor starts and watches. */
export interface ProcessPart extends Common {
  readonly kind: 'process';
  /** Parts that are started beside this one (it waits for them by itself) and that stop after it. */
  readonly beside?: readonly string[];
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly PortClaim[];
  /** Runs once, before the first start: formats storage, writes configuration. */
  readonly prepare?: () => Promise<void>;
  /** Runs once the part has been stopped. */
  readonly afterStop?: () => Promise<void>;
  /** From TERM to KILL, in milliseconds. */
  readonly stopGraceMs: number;
}

/** A part that runs elsewhere: only waited for. */
export interface ExternalPart extends Common {
  readonly kind: 'external';
  /** The variable that named it. */
  readonly variable: string;
  readonly address: string;
}

export type Part = ProcessPart | ExternalPart;
