import { formatTable } from '../../services/operator/text-table.ts';
import type { OutageReport } from './outage.ts';

/** For people. */
export function describeOutage(report: OutageReport): string {
  const { away, verify } = report;
  const law = verify.topics['chat.events'];
  const memory = formatTable(
    ['RESIDENT MIB, MOST', 'BEFORE', 'AWAY', 'AFTER'],
    report.memory.map(({ part, before_mib, away_mib, after_mib }) => [part, before_mib, away_mib, after_mib]),
  );
  return [
    `${report.sent} sent, ${report.acked} acked. ClickHouse was away for ${report.away_s} s: ${away.sent} sent and ${away.enriched} enriched meanwhile.`,
    `The sink had ${report.backlog} outcomes before it when ClickHouse returned, and had caught up ${report.caught_up_s} s later.`,
    `verify: ${verify.ok ? 'ok' : 'NOT OK'}; ${law.events} events, ${law.enriched} enriched, ${law.missing} missing, ${law.in_flight} in flight.`,
    '',
    memory,
    '',
    ...(report.ok
      ? [`Seed ${report.seed}: enrichment went on, memory stayed bounded, everything is there once.`]
      : [
          `Seed ${report.seed}: ${report.violations.length} VIOLATIONS`,
          ...report.violations.map((violation) => `* ${violation}`),
        ]),
    ...(report.logs === null ? [] : [`Logs: ${report.logs}`]),
  ].join('\n');
}
