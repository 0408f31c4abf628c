import { formatTable } from '../../services/core/text-table.ts';
import { planned, seconds } from './plan-table.ts';
import type { ChaosReport } from './run.ts';

/** For people. */
export function describeChaos(report: ChaosReport): string {
  const { verify, nlp_calls: calls, ended_by_themselves: ended } = report;
  const events = formatTable(
    ['#', 'BEGAN', 'EVENT', 'PART', 'FOR', 'RECOVERED IN'],
    report.events.map((event) => [
      ...planned({ ...event, at_ms: event.began_ms }),
      event.recovery_ms === null ? 'never' : seconds(event.recovery_ms),
    ]),
  );
  const law = verify.topics['chat.events'];
  return [
    events,
    '',
    `${report.sent} sent, ${report.acked} acked, ${report.resent} sent again over ${report.reconnects} reconnects, in ${report.duration_s} s.`,
    `verify: ${verify.ok ? 'ok' : 'NOT OK'}; ${law.events} events, ${law.enriched} enriched, ${law.duplicate_receipts} duplicates dropped, ` +
      `${law.dead_lettered} dead letters, ${law.missing} missing, ${law.in_flight} in flight.`,
    `${report.poison} poison records, ${report.dead_letters} dead letters.`,
    `NLP API: ${calls.analysed} documents analysed for ${calls.needed} records, ${calls.repeated} of them again.`,
    ...Object.entries(ended).map(([part, count]) => `${part} ended by itself ${count} times and was started again.`),
    '',
    ...(report.ok
      ? [`Seed ${report.seed}: nothing lost, nothing counted twice.`]
      : [
          `Seed ${report.seed}: ${report.violations.length} VIOLATIONS`,
          ...report.violations.map((violation) => `* ${violation}`),
          `Again: ${report.repeat}`,
        ]),
    ...(report.logs === null ? [] : [`Logs: ${report.logs}`]),
  ].join('\n');
}
