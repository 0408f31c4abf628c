import type { EpochMs } from '../core/brands.ts';
import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { operatorName } from '../platform/operator-name.ts';
import type { ReplayCounts } from './tally.ts';

/** One run that produced something, or tried to; table `replay_runs`. */
export interface ReplayRun {
  readonly runId: string;
  readonly startedAt: EpochMs;
  /** As JSON: what was asked for. */
  readonly selection: string;
}

/** `incomplete`: something selected could not be replayed. `interrupted`: by a signal. */
export type RunOutcome = 'running' | 'done' | 'incomplete' | 'interrupted' | 'failed';

/** Written before the first record is produced, so that no replay is without one. */
export const beginRun = (client: ClickHouse, run: ReplayRun): Promise<void> =>
  write(client, run, { version: 1, finishedAt: 0, outcome: 'running', counts: null });

export const finishRun = (
  client: ClickHouse,
  run: ReplayRun,
  end: { readonly at: EpochMs; readonly outcome: RunOutcome; readonly counts: ReplayCounts | null },
): Promise<void> => write(client, run, { version: 2, finishedAt: end.at, outcome: end.outcome, counts: end.counts });

interface Version {
  readonly version: number;
  readonly finishedAt: number;
  readonly outcome: RunOutcome;
  readonly counts: ReplayCounts | null;
}

function write(client: ClickHouse, run: ReplayRun, { version, finishedAt, outcome, counts }: Version): Promise<void> {
  return client.insert({
    table: 'replay_runs',
    columns: [
      'run_id',
      'version',
      'started_at',
      'finished_at',
      'user',
      'selection',
      'selected',
      'replayed',
      'skipped',
      'outcome',
    ],
    rows: [
      [
        run.runId,
        version,
        run.startedAt,
        finishedAt,
        operatorName(),
        run.selection,
        counts?.selected ?? 0,
        counts?.replay ?? 0,
        counts?.skipped ?? {},
        outcome,
      ],
    ],
  });
}
