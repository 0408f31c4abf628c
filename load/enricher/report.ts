import { type Cell, formatTable } from '../../services/operator/text-table.ts';
import type { BenchReport } from './bench.ts';
import { medianRun, type RunFigures } from './run-figures.ts';
import type { SubjectName } from './subject.ts';

const COLUMNS: readonly (readonly [title: string, of: (run: RunFigures) => number])[] = [
  ['MESSAGES/S', (run) => run.messages_per_s],
  ['STEADY', (run) => run.steady_messages_per_s],
  ['CPU µS', (run) => run.cpu_us_per_message],
  ['STEADY', (run) => run.steady_cpu_us_per_message],
  ['RSS MB', (run) => run.max_rss_mb],
  ['IN FLIGHT', (run) => run.api.most_in_flight],
  ['CALLS', (run) => run.api.calls],
  ['API CPU µS', (run) => run.api_cpu_us_per_document],
  ['LOOP P99', (run) => run.loop_delay_ms?.p99 ?? Number.NaN],
  ['INSIGHT P50', (run) => run.insight_ms.p50],
  ['P95', (run) => run.insight_ms.p95],
  ['P99', (run) => run.insight_ms.p99],
  ['ADDED P50', (run) => run.added_ms.p50],
  ['ADDED P99', (run) => run.added_ms.p99],
  ['FROM LOG P50', (run) => run.added_from_log_ms.p50],
  ['FROM LOG P99', (run) => run.added_from_log_ms.p99],
  ['MISSING', (run) => run.missing],
  ['REPEATED', (run) => run.repeated],
];

/** Medians over the runs of each subject, and the ratio of each subject's to the floor's. */
export function describeBench({ runs, options }: BenchReport): string {
  // Of a preloaded topic every message is late from the start.
  const shown = COLUMNS.filter(
    ([title]) => options.rate !== 'preloaded' || !/ADDED|LOG|INSIGHT|^P9/.test(title),
  ).filter(([title]) => options.loopDelay || !/LOOP/.test(title));
  const rows: Cell[][] = [];
  for (const [name, all] of Object.entries(runs)) {
    rows.push([name, ...shown.map(([, of]) => round(medianRun(all, of)))]);
  }
  const { floor } = runs;
  if (floor) {
    for (const [name, all] of Object.entries(runs) as [SubjectName, readonly RunFigures[]][]) {
      if (name === 'floor') continue;
      rows.push([`${name} ÷ floor`, ...shown.map(([, of]) => ratio(medianRun(all, of), medianRun(floor, of)))]);
    }
  }
  return formatTable(['MEDIANS', ...shown.map(([title]) => title)], rows);
}

const round = (value: number): number => (value >= 100 ? Math.round(value) : Math.round(value * 10) / 10);
const ratio = (value: number, floor: number): Cell => (floor === 0 ? null : Math.round((value / floor) * 100) / 100);
