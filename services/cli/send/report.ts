import { formatDuration } from '../../core/duration.ts';
import type { LatencySummary } from '../../operator/latency-histogram.ts';
import type { InsightCounts } from './insight-count.ts';
import type { SendCounts, Sender } from './sender.ts';

/** What one run of `parley send` did. */
export interface SendReport extends SendCounts {
  readonly run_id: string;
  readonly url: string;
  readonly bots: number;
  readonly tenants: number;
  readonly elapsed_ms: number;
  readonly reconnects: number;
  /** Answered with a temporary nack, and sent again by the client. */
  readonly postponed: number;
  /** Sent again because their connection was lost. */
  readonly resent: number;
  /** From sending to ack, waiting in the client included. */
  readonly ack_latency_ms: LatencySummary;
  /** Null where they were not asked for. */
  readonly insights: InsightCounts | null;
}

interface RunFacts {
  readonly runId: string;
  readonly url: string;
  readonly bots: number;
  readonly tenants: number;
  readonly elapsedMs: number;
  readonly reconnects: number;
  readonly postponed: number;
  readonly resent: number;
  readonly insights: InsightCounts | null;
}

export function sendReport({ counts, ackLatency }: Sender, { runId, elapsedMs, ...facts }: RunFacts): SendReport {
  return {
    run_id: runId,
    ...counts,
    ...facts,
    elapsed_ms: Math.round(elapsedMs),
    ack_latency_ms: ackLatency.summary(),
  };
}

/** For people. */
export function describeSend(report: SendReport): string {
  const { sent, acked, refused, elapsed_ms, ack_latency_ms: ack } = report;
  const count = (value: number) => value.toLocaleString('en');
  const rate = Math.round((acked * 1_000) / Math.max(elapsed_ms, 1));
  const refusals = Object.entries(refused).map(([code, times]) => `  refused ${code}: ${count(times)}`);
  const badLines = report.bad_line_examples.map(({ line, problem }) => `  line ${line} ${problem}`);
  const again = [
    ...(report.postponed > 0 ? [`${count(report.postponed)} answered "later" and sent again`] : []),
    ...(report.resent > 0 ? [`${count(report.resent)} resent after ${count(report.reconnects)} reconnects`] : []),
  ];
  return [
    `Sent ${count(sent)} messages as ${count(report.bots)} bots in ${formatDuration(elapsed_ms)}; ${count(acked)} acked (${count(rate)}/s).`,
    `Ack latency p50 ${ack.p50} ms, p99 ${ack.p99} ms, max ${ack.max} ms.`,
    ...(report.insights ? [describeInsights(report.insights)] : []),
    ...(again.length > 0 ? [`${again.join('; ')}.`] : []),
    ...refusals,
    ...(report.bad_lines > 0 ? [`Left out ${count(report.bad_lines)} lines that are no message:`, ...badLines] : []),
    `Run id ${report.run_id}: message ids begin with it.`,
  ].join('\n');
}

function describeInsights({ final, provisional, missing }: InsightCounts): string {
  const parts = [`${final.toLocaleString('en')} insights came`];
  if (provisional > 0) parts.push(`${provisional.toLocaleString('en')} early ones before`);
  if (missing > 0) parts.push(`${missing.toLocaleString('en')} did not come in time`);
  return `${parts.join(', ')}.`;
}
