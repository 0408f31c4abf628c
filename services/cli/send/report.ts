import { formatDuration } from '../../core/duration.ts';
import type { LeftOutGroup } from '../../operator/chat-file/left-out.ts';
import type { InputFacts, Mended } from '../../operator/chat-file/read-chats.ts';
import type { LatencySummary } from '../../operator/latency-histogram.ts';
import { describeLeftOut } from './input-report.ts';
import type { InsightCounts } from './insight-count.ts';
import type { SendCounts, Sender } from './sender.ts';

/** What one run of `parley send` did. */
export interface SendReport extends SendCounts {
  readonly run_id: string;
  /** What the files were recognised as; the first hundred. */
  readonly inputs: readonly InputFacts[];
  /** What was left out for a fault, which makes the exit code 1. */
  readonly bad_lines: number;
  /** All that was left out, by what is wrong. */
  readonly left_out: readonly LeftOutGroup[];
  readonly mended: Mended;
  /** Times that were sent although they are more than a day old. */
  readonly old_times: number;
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
  readonly inputs: readonly InputFacts[];
  readonly mended: Mended;
}

export function sendReport(
  { counts, ackLatency, leftOut, oldTimes }: Sender,
  { runId, elapsedMs, ...facts }: RunFacts,
): SendReport {
  return {
    run_id: runId,
    ...counts,
    ...facts,
    bad_lines: leftOut.faults,
    left_out: leftOut.groups,
    old_times: oldTimes,
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
    ...describeLeftOut(report),
    ...(report.old_times > 0
      ? [
          `${count(report.old_times)} times are more than a day old: a token without the role importer has them moved to a day ago.`,
        ]
      : []),
    `Run id ${report.run_id}: message ids begin with it.`,
  ].join('\n');
}

function describeInsights({ final, provisional, missing }: InsightCounts): string {
  const parts = [`${final.toLocaleString('en')} insights came`];
  if (provisional > 0) parts.push(`${provisional.toLocaleString('en')} early ones before`);
  if (missing > 0) parts.push(`${missing.toLocaleString('en')} did not come in time`);
  return `${parts.join(', ')}.`;
}
