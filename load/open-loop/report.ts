import type { LatencySummary } from '../../services/operator/latency-histogram.ts';
import { formatTable } from '../../services/operator/text-table.ts';
import type { LoadReport } from './run.ts';

const row = (name: string, { count, p50, p90, p99, p999, max }: LatencySummary) =>
  [name, count, p50, p90, p99, p999, max].map((cell) => (typeof cell === 'number' ? round(cell) : cell));

const round = (value: number): number => (value >= 100 ? Math.round(value) : Math.round(value * 10) / 10);

/** For people. */
export function describeLoad(report: LoadReport): string {
  const { options, sent, acked, refused, unsettled, verify } = report;
  const latencies = formatTable(
    ['MILLISECONDS', 'COUNT', 'P50', 'P90', 'P99', 'P99.9', 'MAX'],
    [
      row('ack', report.ack_latency_ms),
      row('insight (enriched_at - received_at)', report.insight_latency_ms),
      row('row visible', report.freshness_ms),
      row('generator late', report.lateness_ms),
    ],
  );
  const cpu = formatTable(
    ['SERVICE', 'CPU MICROSECONDS A MESSAGE'],
    Object.entries(report.cpu_us_per_message).sort(([, a], [, b]) => b - a),
  );
  const refusals = Object.entries(refused).map(([code, count]) => `${count} refused with ${code}.`);
  const events = verify.topics['chat.events'];
  return [
    `${options.bots} bots, ${options.rate} messages/s (${options.arrivals}), ${options.seconds} s: ${sent} sent, ${acked} acked.`,
    ...refusals,
    ...(unsettled > 0 ? [`${unsettled} were neither acked nor refused in time.`] : []),
    ...(report.postponed > 0 ? [`${report.postponed} were answered "later" and sent again.`] : []),
    ...(report.freshness_ms.unseen > 0 ? [`${report.freshness_ms.unseen} markers never became visible.`] : []),
    '',
    latencies,
    '',
    cpu,
    '',
    `verify: ${verify.ok ? 'ok' : 'NOT OK'}; ${events.events} events, ${events.missing} missing, ${events.in_flight} in flight, ` +
      `${Object.values(verify.violations).reduce((sum: number, count) => sum + (count ?? 0), 0)} violations.`,
  ].join('\n');
}
