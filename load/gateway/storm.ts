import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, SystemUnderTest } from './bench.ts';
import { ackLatency, ClientProcesses } from './client-processes.ts';
import { recordsIn } from './records-in.ts';

export interface StormOptions {
  readonly connections: number;
  readonly rate: number;
  readonly workers: number;
  readonly clients: number;
}

export interface StormReport {
  readonly ok: boolean;
  readonly options: StormOptions;
  readonly opened_in_s: number;
  readonly back_in_s: number;
  readonly refusals: Readonly<Record<string, number>>;
  /** Answers of /readyz meanwhile. */
  readonly ready: { readonly asked: number; readonly not_ready: number };
  readonly ack_p99_before_ms: number;
  readonly ack_p99_after_ms: number;
  readonly acked: number;
  /** What `chat.events` holds: at least what was acked. */
  readonly in_log: number;
}

const MAX_BACK_S = 30;
const LOAD_S = 5;
const POLL_MS = 500;

/** All bots vanish at once, without a goodbye, and come back as fast as they can. */
export async function storm(
  bench: Bench,
  options: StormOptions,
  progress: (line: string) => void,
): Promise<StormReport> {
  const system = await bench.gateway(options.workers);
  const clients = new ClientProcesses(options.clients);
  const tokens = await bench.tokens(options.connections);
  try {
    const opened = await clients.open(system.url, tokens);
    progress(`${options.connections} connections in ${seconds(opened.ms)} s`);
    const before = await clients.send({ ratePerS: options.rate, seconds: LOAD_S });
    const ready = watchReadiness(system);
    await clients.drop();
    progress('all gone');
    const back = await clients.open(system.url, tokens);
    const readiness = await ready.stop();
    progress(`all back in ${seconds(back.ms)} s`);
    const after = await clients.send({ ratePerS: options.rate, seconds: LOAD_S });
    const acked = [...before, ...after].reduce((sum, report) => sum + report.acked, 0);
    const inLog = await recordsIn(bench);
    const p99 = (reports: typeof before) => ackLatency(reports).p99;
    return {
      ok: back.ms <= MAX_BACK_S * 1_000 && readiness.not_ready === 0 && inLog >= acked,
      options,
      opened_in_s: seconds(opened.ms),
      back_in_s: seconds(back.ms),
      refusals: back.refusals,
      ready: readiness,
      ack_p99_before_ms: p99(before),
      ack_p99_after_ms: p99(after),
      acked,
      in_log: inLog,
    };
  } finally {
    clients.stop();
    await system.stop();
  }
}

const seconds = (ms: number): number => Math.round(ms / 100) / 10;

function watchReadiness({ adminUrl }: SystemUnderTest): { stop: () => Promise<StormReport['ready']> } {
  let over = false;
  const counts = { asked: 0, not_ready: 0 };
  const watching = (async () => {
    while (!over) {
      const answer = await fetch(`${adminUrl}/readyz`).catch(() => undefined);
      counts.asked += 1;
      if (!answer?.ok) counts.not_ready += 1;
      await answer?.body?.cancel();
      await delay(POLL_MS);
    }
  })();
  return {
    stop: async () => {
      over = true;
      await watching;
      return counts;
    },
  };
}
