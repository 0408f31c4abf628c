import type { VerifyReport } from '../../services/verify/verify.ts';
import type { KillAccount } from './kill-account.ts';
import type { PlanOptions } from './planner.ts';
import type { CountedEvent } from './repeats.ts';

export interface ChaosOptions extends PlanOptions {
  /** Messages a second over all bots. */
  readonly rate: number;
  readonly bots: number;
  /** No event begins later than this after the first; by default all do. */
  readonly endMs?: number;
  /** Leave the data folder with all logs, as after a violation. */
  readonly keep?: boolean;
}

export interface ChaosReport {
  readonly ok: boolean;
  readonly seed: number;
  /** Repeats the run's schedule. */
  readonly repeat: string;
  readonly violations: readonly string[];
  readonly events: readonly CountedEvent[];
  readonly duration_s: number;
  readonly sent: number;
  readonly acked: number;
  /** By the bots, after a lost connection. */
  readonly resent: number;
  readonly reconnects: number;
  readonly poison: number;
  /** Messages of somebody else's producer. */
  readonly foreign: number;
  /** Distinct source records. */
  readonly dead_letters: number;
  readonly nlp_calls: {
    /** Documents sent to the NLP API. */
    readonly sent: number;
    /** Those that had been sent before; of messages that stand in the log more than once, none is counted. */
    readonly repeated: number;
  };
  /** One for each `kill -9` of an enricher. */
  readonly kills: readonly KillAccount[];
  /** Ends of processes that the schedule had not ordered, by part; they were started again. */
  readonly ended_by_themselves: Readonly<Record<string, number>>;
  readonly verify: VerifyReport;
  /** Where the logs are, if they were kept. */
  readonly logs: string | null;
}
