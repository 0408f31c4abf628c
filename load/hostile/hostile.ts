import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, SystemUnderTest } from '../gateway/bench.ts';
import { ackLatency, ClientProcesses } from '../gateway/client-processes.ts';
import { median } from '../kit/percentiles.ts';
import { sampleFamily } from '../kit/process-family.ts';
import { ATTACK_KINDS, type AttackEnds, type AttackKind, type AttackPlan } from './attack-plan.ts';

export interface HostileOptions {
  readonly bots: number;
  readonly rate: number;
  readonly seconds: number;
  /** Length of the calm runs, one before and one after. */
  readonly calm: number;
  /** Peers that do wrong, of all kinds together. */
  readonly peers: number;
  /** All kinds by default. */
  readonly only?: AttackKind;
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
const WARM_UP_S = 4;
/** Long enough for the peers to be there again. */
const BEFORE_STOP_MS = 1_000;
const HONEST_PROCESSES = 1;
const HOSTILE_BOTS = 16;

/** Parts of all peers. */
const SHARES: Readonly<Record<AttackKind, number>> = {
  half_open: 0.6,
  no_token: 0.2,
  junk_token: 0.1,
  deaf: 0.05,
  refused: 0.05,
};

function planOf(url: string, tokens: readonly string[], { peers, only }: HostileOptions): AttackPlan {
  const counts = ATTACK_KINDS.map((kind) => [
    kind,
    only === undefined || only === kind ? Math.ceil(peers * SHARES[kind]) : 0,
  ]);
  return { url, tokens, ...(Object.fromEntries(counts) as Record<AttackKind, number>) };
}

/**
 * Honest bots at a steady rate, alone, then beside peers that do the worst, then alone again: what else the machine does
 * meets both. At the end the gateway is stopped while the peers are back.
 */
export async function hostileRun(
  bench: Bench,
  options: HostileOptions,
  { progress, env = {} }: { progress: (line: string) => void; env?: Record<string, string> },
): Promise<HostileReport> {
  const { bots, rate: ratePerS, seconds, calm } = options;
  const system = await bench.gateway(1, { DRAIN_HANDOVER_MS: '2000', ...env });
  const clients = new ClientProcesses(HONEST_PROCESSES);
  const tokens = await bench.tokens(bots + HOSTILE_BOTS);
  const plan = planOf(system.url, tokens.splice(0, HOSTILE_BOTS), options);
  const attackers: ChildProcess[] = [];
  try {
    await clients.open(system.url, tokens);
    await clients.send({ ratePerS, seconds: Math.min(WARM_UP_S, calm) });
    const before = await clients.send({ ratePerS, seconds: calm / 2 });
    progress(`calm: ack p99 ${ackLatency(before).p99} ms`);
    attackers.push(attack(plan));
    const memory = watchMemory(system);
    const during = await clients.send({ ratePerS, seconds });
    const memory_mib = memory.stop();
    progress(`hostile: ack p99 ${ackLatency(during).p99} ms`);
    const attacks = await endsOf(attackers[0] as ChildProcess);
    attackers[0]?.kill('SIGKILL');
    const after = await clients.send({ ratePerS, seconds: calm / 2 });
    progress(`calm again: ack p99 ${ackLatency(after).p99} ms`);
    const { closes } = await clients.status();
    attackers.push(attack(plan));
    await delay(BEFORE_STOP_MS);
    const stop = await stopped(system);
    const [quiet, loud] = [ackLatency([...before, ...after]), ackLatency(during)];
    const ratio = Math.round((loud.p99 / quiet.p99) * 100) / 100;
    const total = (pick: 'sent' | 'acked' | 'nacked') =>
      [...before, ...during, ...after].reduce((sum, report) => sum + report[pick], 0);
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
    for (const child of attackers) child.kill('SIGKILL');
    clients.stop();
    await system.stop();
  }
}

function attack(plan: AttackPlan): ChildProcess {
  const attackers = fork(join(import.meta.dirname, 'attackers.ts'));
  attackers.send(plan);
  return attackers;
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
