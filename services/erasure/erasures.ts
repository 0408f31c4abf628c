import type { EpochMs } from '../core/brands.ts';
import { type ErasureSubject, subjectHash } from '../core/erasure.ts';
import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { operatorName } from '../platform/operator-name.ts';

/** One run of `parley forget`; table `erasures`. */
export interface Erasure {
  readonly id: string;
  readonly subject: ErasureSubject;
  /** What was sent or received until then is erased. */
  readonly until: EpochMs;
  readonly startedAt: EpochMs;
}

/** `incomplete`: something kept it from blanking what is stored; `interrupted`: by a signal. Either is finished by another run. */
export type ErasureOutcome = 'done' | 'incomplete' | 'interrupted';

/** From here on nothing of the subject is stored any more; what is stored is still there. */
export const beginErasure = (client: ClickHouse, erasure: Erasure): Promise<void> =>
  write(client, erasure, { version: 1, finishedAt: 0, blanked: 0, outcome: 'running' });

export const finishErasure = (
  client: ClickHouse,
  erasure: Erasure,
  end: { readonly at: EpochMs; readonly blanked: number; readonly outcome: ErasureOutcome },
): Promise<void> =>
  write(client, erasure, { version: 2, finishedAt: end.at, blanked: end.blanked, outcome: end.outcome });

interface Version {
  readonly version: number;
  readonly finishedAt: number;
  readonly blanked: number;
  readonly outcome: ErasureOutcome | 'running';
}

function write(
  client: ClickHouse,
  { id, subject, until, startedAt }: Erasure,
  { version, finishedAt, blanked, outcome }: Version,
): Promise<void> {
  const row = {
    erasure_id: id,
    version,
    tenant_id: subject.tenant,
    scope: subject.scope,
    subject: subjectHash(subject),
    until,
    started_at: startedAt,
    finished_at: finishedAt,
    operator: operatorName(),
    blanked,
    outcome,
  };
  return client.insert({ table: 'erasures', columns: Object.keys(row), rows: [Object.values(row)] });
}
