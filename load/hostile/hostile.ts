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
  /** Length of the calm runs, one before each turn of the hostile one, together. */
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
/** A turn of the hostile part; each begins with its share of the calm one. */
const TURN_S = 60;
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
 * Honest bots at a steady rate, alone and beside peers that do the worst, in turns: what else the machine does meets both.
 * At the end the gateway is stopped while the peers are back.
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
  let attackers: ChildProcess | undefined;
  try {
    await clients.open(system.url, tokens);
    await clients.send({ ratePerS, seconds: Math.min(WARM_UP_S, calm) });
    const memory = watchMemory(system);
    const [quiet, loud]: [Sends, Sends] = [[], []];
    const attacks: Record<string, Record<string, number>> = {};
    const turns = Math.max(1, Math.round(seconds / TURN_S));
    for (let turn = 1; turn <= turns; turn++) {
      quiet.push(...(await clients.send({ ratePerS, seconds: calm / turns })));
      attackers = attack(plan);
      memory.watch(true);
      loud.push(...(await clients.send({ ratePerS, seconds: seconds / turns })));
      memory.watch(false);
      addUp(attacks, await endsOf(attackers));
      attackers.kill('SIGKILL');
      const [p99, hostileP99] = [ackLatency(quiet).p99, ackLatency(loud).p99];
      progress(`${turn} of ${turns}: ack p99 so far ${p99} ms calm, ${hostileP99} ms hostile`);
    }
    const memory_mib = memory.stop();
    const { closes } = await clients.status();
    attackers = attack(plan);
    await delay(BEFORE_STOP_MS);
    const stop = await stopped(system);
    const [calmMs, hostileMs] = [ackLatency(quiet), ackLatency(loud)];
    const ratio = Math.round((hostileMs.p99 / calmMs.p99) * 100) / 100;
    const total = (pick: 'sent' | 'acked' | 'nacked') =>
      [...quiet, ...loud].reduce((sum, report) => sum + report[pick], 0);
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
      calm_ack_ms: { p50: calmMs.p50, p99: calmMs.p99 },
      hostile_ack_ms: { p50: hostileMs.p50, p99: hostileMs.p99 },
      ratio,
      honest,
      attacks: attacks as AttackEnds,
      memory_mib,
      stop,
    };
  } finally {
    attackers?.kill('SIGKILL');
    clients.stop();
    await system.stop();
  }
}

type Sends = Awaited<ReturnType<ClientProcesses['send']>>;

function addUp(sums: Record<string, Record<string, number>>, ends: AttackEnds): void {
  for (const [kind, counts] of Object.entries(ends)) {
    const sum = sums[kind] ?? {};
    for (const [end, count] of Object.entries(counts)) sum[end] = (sum[end] ?? 0) + count;
    sums[kind] = sum;
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

function watchMemory({ pid }: SystemUnderTest) {
  const samples: number[] = [];
  let isWatched = false;
  const timer = setInterval(() => {
    if (isWatched) samples.push(Math.round(sampleFamily(pid).rssBytes / 2 ** 20));
  }, SAMPLE_MS);
  return {
    watch: (watched: boolean) => {
      isWatched = watched;
    },
    stop: (): HostileReport['memory_mib'] => {
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
