import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Bench, SystemUnderTest } from '../gateway/bench.ts';
import { ackLatency, ClientProcesses } from '../gateway/client-processes.ts';
import { median } from '../kit/percentiles.ts';
import { sampleFamily } from '../kit/process-family.ts';
import type { AttackEnds, AttackPlan } from './attackers.ts';

export interface HostileOptions {
  readonly bots: number;
  readonly rate: number;
  readonly seconds: number;
  /** Length of the calm run before. */
  readonly calm: number;
  /** Peers that do wrong, of all kinds together. */
  readonly peers: number;
}

export interface HostileReport {
  readonly ok: boolean;
  readonly options: HostileOptions;
  readonly calm_ack_ms: Latency;
  readonly hostile_ack_ms: Latency;
  /** The 99th percentile of the hostile run by that of the calm one; at most 2. */
  readonly ratio: number;
  readonly honest: {
    readonly sent: number;
    readonly acked: number;
    readonly nacked: number;
    readonly closes: Readonly<Record<string, number>>;
  };
  readonly attacks: AttackEnds;
  /** Resident memory of the gateway: medians of the second quarter of the run and of the last. */
  readonly memory_mib: { readonly early: number; readonly late: number };
  /** From SIGTERM to the end, while the attack goes on; the exit code is 0. */
  readonly stop: { readonly seconds: number; readonly exit_code: number | null };
}

interface Latency {
  readonly p50: number;
  readonly p99: number;
}

const MAX_RATIO = 2;
/** Growth that a garbage collector's mood explains. */
const FLAT = { share: 1.15, mib: 16 };
/** DRAIN_TIMEOUT_MS and what may follow it (docs/operations.md). */
const STOP_BOUND_S = 15 + 5;
const SAMPLE_MS = 1_000;
const HONEST_PROCESSES = 1;
const HOSTILE_BOTS = 16;

/** Peers by kind, in parts of all. */
const planOf = (url: string, tokens: readonly string[], peers: number): AttackPlan => ({
  url,
  tokens,
  half_open: Math.ceil(peers * 0.6),
  no_token: Math.ceil(peers * 0.2),
  junk_token: Math.ceil(peers * 0.1),
  deaf: Math.ceil(peers * 0.05),
  refused: Math.ceil(peers * 0.05),
});

/** Honest bots at a steady rate, first alone, then beside peers that do the worst. */
export async function hostileRun(
  bench: Bench,
  options: HostileOptions,
  { progress, env = {} }: { progress: (line: string) => void; env?: Record<string, string> },
): Promise<HostileReport> {
  const { bots, rate: ratePerS, seconds, calm } = options;
  const system = await bench.gateway(1, { DRAIN_HANDOVER_MS: '2000', ...env });
  const clients = new ClientProcesses(HONEST_PROCESSES);
  const attackers = fork(join(import.meta.dirname, 'attackers.ts'));
  try {
    const tokens = await bench.tokens(bots + HOSTILE_BOTS);
    const hostile = tokens.splice(0, HOSTILE_BOTS);
    await clients.open(system.url, tokens);
    const before = await clients.send({ ratePerS, seconds: calm });
    progress(`calm: ack p99 ${ackLatency(before).p99} ms`);
    attackers.send(planOf(system.url, hostile, options.peers));
    const memory = watchMemory(system);
    const during = await clients.send({ ratePerS, seconds });
    const memory_mib = memory.stop();
    progress(`hostile: ack p99 ${ackLatency(during).p99} ms`);
    const { closes } = await clients.status();
    const attacks = await endsOf(attackers);
    const stop = await stopped(system);
    const [quiet, loud] = [ackLatency(before), ackLatency(during)];
    const ratio = Math.round((loud.p99 / quiet.p99) * 100) / 100;
    const total = (pick: 'sent' | 'acked' | 'nacked') => during.reduce((sum, report) => sum + report[pick], 0);
    const honest = { sent: total('sent'), acked: total('acked'), nacked: total('nacked'), closes };
    return {
      ok:
        ratio <= MAX_RATIO &&
        honest.acked === honest.sent &&
        Object.keys(closes).length === 0 &&
        memory_mib.late <= memory_mib.early * FLAT.share + FLAT.mib &&
        stop.exit_code === 0 &&
        stop.seconds <= STOP_BOUND_S,
      options,
      calm_ack_ms: { p50: quiet.p50, p99: quiet.p99 },
      hostile_ack_ms: { p50: loud.p50, p99: loud.p99 },
      ratio,
      honest,
      attacks,
      memory_mib,
      stop,
    };
  } finally {
    attackers.kill('SIGKILL');
    clients.stop();
    await system.stop();
  }
}

const endsOf = (attackers: ChildProcess): Promise<AttackEnds> =>
  new Promise((resolve) => {
    attackers.once('message', (ends) => resolve(ends as AttackEnds));
    attackers.send('ends');
  });

function watchMemory({ pid }: SystemUnderTest): { stop: () => HostileReport['memory_mib'] } {
  const samples: number[] = [];
  const timer = setInterval(() => samples.push(Math.round(sampleFamily(pid).rssBytes / 2 ** 20)), SAMPLE_MS);
  return {
    stop: () => {
      clearInterval(timer);
      const quarter = Math.floor(samples.length / 4);
      return { early: median(samples.slice(quarter, 2 * quarter)), late: median(samples.slice(-quarter)) };
    },
  };
}

async function stopped(system: SystemUnderTest): Promise<HostileReport['stop']> {
  const startedMs = performance.now();
  system.signal('SIGTERM');
  const exit_code = await system.ended;
  return { seconds: Math.round((performance.now() - startedMs) / 100) / 10, exit_code };
}
