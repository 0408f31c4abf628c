import { type Percentiles, percentilesOf } from '../kit/percentiles.ts';
import { cpuMicrosAt, type ProcSample } from '../kit/proc-stat.ts';
import type { DocumentBook } from './api/document-book.ts';
import type { ApiStats } from './api/faults.ts';
import type { LoggedOutcome } from './outcome-log.ts';

/** What one run of one system gave. */
export interface RunFigures {
  readonly outcomes: Readonly<Record<string, number>>;
  /** Messages without a final outcome, and final outcomes beyond the first of a message. */
  readonly missing: number;
  readonly repeated: number;
  /** From the first final outcome to the last. */
  readonly seconds: number;
  readonly messages_per_s: number;
  readonly cpu_us_per_message: number;
  /** The same in the second half of the outcomes, without the last twentieth: after the ramp-up, before the tail. */
  readonly steady_messages_per_s: number;
  readonly steady_cpu_us_per_message: number;
  readonly max_rss_mb: number;
  readonly api: ApiStats;
  /** What the API itself spent on a document: to be small beside the system's. */
  readonly api_cpu_us_per_document: number;
  /** Documents sent to the API beyond one a message. */
  readonly repeated_calls: number;
  /** Final outcome in the log minus event received, minus what the API took; and the same from the event's place in the log. */
  readonly added_ms: Percentiles;
  readonly added_from_log_ms: Percentiles;
  /**
   * First answer in the log, provisional or final, minus event received: what a bot waits for. A message without an answer
   * counts with the time that it had waited when the run ended.
   */
  readonly insight_ms: Percentiles;
  /** How late the system's event loop was; `null` unless asked for. */
  readonly loop_delay_ms: LoopDelay | null;
}

/** Milliseconds, from the first outcome on. */
export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Observed {
  readonly messages: number;
  /** Messages before this one only warmed up. */
  readonly firstMeasured: number;
  readonly outcomes: readonly LoggedOutcome[];
  readonly samples: readonly ProcSample[];
  readonly maxRssBytes: number;
  readonly api: ApiStats;
  readonly book: DocumentBook;
  readonly apiCpuMicros: number;
  /** When each message was received, by its number. */
  readonly receivedAtMs: readonly number[];
  readonly endedAtMs: number;
  readonly loopDelay: LoopDelay | null;
}

const STEADY_FROM = 0.5;
const STEADY_TO = 0.95;

export function figuresOf(observed: Observed): RunFigures {
  const { messages, firstMeasured, outcomes, api, book } = observed;
  const kinds: Record<string, number> = {};
  const first = new Map<number, LoggedOutcome>();
  let repeated = 0;
  for (const outcome of outcomes) {
    const kind = outcome.provisional ? 'provisional' : outcome.outcome;
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    if (outcome.provisional || outcome.replayed) continue;
    if (first.has(outcome.number)) repeated++;
    else first.set(outcome.number, outcome);
  }
  const measured = [...first.values()].filter(({ number }) => number >= firstMeasured);
  const times = measured.map(({ atMs }) => atMs).sort((a, b) => a - b);
  const whole = rateBetween(times, 0, times.length - 1, observed.samples);
  const [from, to] = [Math.floor(times.length * STEADY_FROM), Math.floor(times.length * STEADY_TO)];
  const steady = rateBetween(times, from, to, observed.samples);
  return {
    outcomes: kinds,
    missing: messages - first.size,
    repeated,
    seconds: whole.seconds,
    messages_per_s: whole.perS,
    cpu_us_per_message: whole.cpuMicros,
    steady_messages_per_s: steady.perS,
    steady_cpu_us_per_message: steady.cpuMicros,
    max_rss_mb: Math.round(observed.maxRssBytes / 2 ** 20),
    api,
    api_cpu_us_per_document: api.documents > 0 ? observed.apiCpuMicros / api.documents : 0,
    repeated_calls: book.calls.reduce((sum, calls) => sum + Math.max(calls - 1, 0), 0),
    ...addedLatency(measured, book),
    insight_ms: insightLatency(observed),
    loop_delay_ms: observed.loopDelay,
  };
}

function rateBetween(times: readonly number[], from: number, to: number, samples: readonly ProcSample[]) {
  const [startMs, endMs] = [times[from] ?? 0, times[to] ?? 0];
  const count = to - from;
  const spentMicros = samples.length === 0 ? 0 : cpuMicrosAt(samples, endMs) - cpuMicrosAt(samples, startMs);
  const seconds = (endMs - startMs) / 1_000;
  return { seconds, perS: seconds > 0 ? count / seconds : 0, cpuMicros: count > 0 ? spentMicros / count : 0 };
}

function addedLatency(measured: readonly LoggedOutcome[], book: DocumentBook) {
  const apiMs = ({ number }: LoggedOutcome) => book.tookMs[number] ?? 0;
  return {
    added_ms: percentilesOf(measured.map((each) => each.atMs - each.receivedAtMs - apiMs(each))),
    added_from_log_ms: percentilesOf(measured.map((each) => each.atMs - each.eventAtMs - apiMs(each))),
  };
}

function insightLatency({ outcomes, receivedAtMs, endedAtMs, firstMeasured }: Observed): Percentiles {
  const answeredAtMs: number[] = [];
  for (const { number, atMs } of outcomes) answeredAtMs[number] = Math.min(answeredAtMs[number] ?? atMs, atMs);
  const waited = receivedAtMs.map((received, number) => (answeredAtMs[number] ?? endedAtMs) - received);
  return percentilesOf(waited.slice(firstMeasured));
}
