import { formatTable } from '../../services/operator/text-table.ts';
import type { ChaosReport } from './chaos-report.ts';
import type { KillAccount } from './kill-account.ts';
import { planned, seconds } from './schedule-text.ts';

/** For people. */
export function describeChaos(report: ChaosReport): string {
  const { verify, nlp_calls: calls, ended_by_themselves: ended } = report;
  const events = formatTable(
    ['#', 'BEGAN', 'EVENT', 'PART', 'FOR', 'RECOVERED IN', 'REPEATED CALLS'],
    report.events.map((event) => [
      ...planned({ ...event, at_ms: event.began_ms }),
      event.recovery_ms === null ? 'never' : seconds(event.recovery_ms),
      event.repeated_calls,
    ]),
  );
  const law = verify.topics['chat.events'];
  return [
    events,
    '',
    `${report.sent} sent, ${report.acked} acked, ${report.resent} sent again over ${report.reconnects} reconnects, in ${report.duration_s} s.`,
    `verify: ${verify.ok ? 'ok' : 'NOT OK'}; ${law.events} events, ${law.enriched} enriched, ${law.duplicate_receipts} duplicates dropped, ` +
      `${law.dead_lettered} dead letters, ${law.missing} missing, ${law.in_flight} in flight.`,
    `${report.poison} poison records, ${report.dead_letters} dead letters; ${report.foreign} messages of another producer.`,
    `NLP API: ${calls.sent} documents sent, ${calls.repeated} of them again.`,
    ...report.kills.map(describeKill),
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

function describeKill(kill: KillAccount): string {
  const { calls_in_flight: calls, answered_not_acked: answered, acked_not_committed: acked } = kill;
  const since = acked === null ? 'an unread number' : `${acked} (of the last ${kill.oldest_not_committed_ms} ms)`;
  return (
    `kill -9 of ${kill.life} (#${kill.event}): ${kill.repeated} calls repeated; in flight were ${calls} calls and ` +
    `${answered} answered ones, acked and not committed ${since}.`
  );
}
