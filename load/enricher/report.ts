import { type Cell, formatTable } from '../../services/operator/text-table.ts';
import { median } from '../kit/percentiles.ts';
import type { BenchReport } from './comparison.ts';
import type { RunFigures } from './run-figures.ts';
import type { SystemName } from './system-under-test.ts';

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

/** Medians over the runs of each system, and the ratio of each system's to the baseline's. */
export function describeBench({ runs, options }: BenchReport): string {
  // Latencies mean nothing with a preloaded topic: every message is late from the start.
  const shown = COLUMNS.filter(
    ([title]) => options.rate !== 'preloaded' || !/ADDED|LOG|INSIGHT|^P9/.test(title),
  ).filter(([title]) => options.loopDelay || !/LOOP/.test(title));
  const rows: Cell[][] = [];
  for (const [name, all] of Object.entries(runs)) {
    rows.push([name, ...shown.map(([, of]) => round(median(all.map(of))))]);
  }
  const { baseline } = runs;
  if (baseline) {
    for (const [name, all] of Object.entries(runs) as [SystemName, readonly RunFigures[]][]) {
      if (name === 'baseline') continue;
      rows.push([`${name} ÷ baseline`, ...shown.map(([, of]) => ratio(median(all.map(of)), median(baseline.map(of))))]);
    }
  }
  return formatTable(['MEDIANS', ...shown.map(([title]) => title)], rows);
}

const round = (value: number): number => (value >= 100 ? Math.round(value) : Math.round(value * 10) / 10);
const ratio = (value: number, baseline: number): Cell =>
  baseline === 0 ? null : Math.round((value / baseline) * 100) / 100;
