import type { EpochMs } from '../../core/brands.ts';
import type { ErasureSubject } from '../../core/erasure.ts';
import type { Forgotten } from '../../erasure/forget.ts';
import type { KeptCopy } from '../../erasure/kept-copies.ts';
import type { StoredWords } from '../../erasure/stored-words.ts';
import { formatTable } from '../../operator/text-table.ts';

/** What `parley forget --json` prints. The subject is its hash: who may read the report need not know the person. */
export interface ForgetReport {
  /** False: this is the plan, and nothing was changed. */
  readonly executed: boolean;
  /** Null where nothing was executed; the table `erasures` has the run. */
  readonly erasure_id: string | null;
  readonly scope: ErasureSubject['scope'];
  readonly tenant: string;
  readonly subject: string;
  /** What was sent or received until then is erased, ms since the epoch. */
  readonly until: EpochMs | null;
  readonly found: StoredWords;
  readonly left_rows: number | null;
  readonly outcome: Forgotten['outcome'] | null;
  readonly problem: string | null;
  readonly kafka: readonly KeptCopy[];
}

const DAY_MS = 86_400_000;
const days = (ms: number | null): string => (ms === null ? 'for ever' : `${Math.round((ms / DAY_MS) * 10) / 10} days`);
const day = (at: EpochMs | null): string => (at === null ? 'never' : new Date(at).toISOString().slice(0, 16));
const count = (n: number, one: string): string => `${n.toLocaleString('en')} ${one}${n === 1 ? '' : 's'}`;

/** Where words may be that no command of ours reaches. */
const ELSEWHERE = `Copies may also be in: backups of ClickHouse and Kafka; ClickHouse's files of before the rewrite, for eight minutes;
its query log, where someone asked for the words or the user by name; files that "dlq show --out" wrote; what others read from
the topics or tables. A ClickHouse that is restored or filled again from Kafka has to be told again: run this once more.`;

export function describeForget(report: ForgetReport): string {
  const rows = report.kafka.map(({ topic, retention_ms, segment_ms, gone_by }) => [
    topic,
    days(retention_ms),
    days(segment_ms),
    day(gone_by),
  ]);
  return [
    sentence(report),
    '',
    'Kafka keeps the originals:',
    formatTable(['TOPIC', 'RETENTION', 'A SEGMENT', 'GONE BY (UTC)'], rows),
    '',
    ELSEWHERE,
  ].join('\n');
}

function sentence({ executed, found, scope, outcome, left_rows, erasure_id, problem }: ForgetReport): string {
  const what = `${count(found.messages, 'message')} (${count(found.rows, 'row')}) in ${count(found.conversations, 'conversation')}`;
  const others =
    scope === 'user' && found.conversations > 0
      ? '\nWhat others said there stays, even if it names the user: --bot with --conversation erases a whole conversation.'
      : '';
  if (!executed) return `Plan: ${what} would be blanked. Nothing was changed.${others}`;
  if (outcome === 'done') return `Erasure ${erasure_id}: ${what} blanked, none left; none comes back.${others}`;
  const why = problem === null ? '' : ` (${problem})`;
  return `Erasure ${erasure_id} is ${outcome}${why}: ${count(left_rows ?? 0, 'row')} left. Nothing new is stored; run it again to do the rest.`;
}
