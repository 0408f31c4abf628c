import { setTimeout as delay } from 'node:timers/promises';
import { sampleFamily } from '../kit/process-family.ts';
import type { Bench, SystemUnderTest } from './bench.ts';
import { ackLatency, ClientProcesses } from './client-processes.ts';

export interface ConnectionsOptions {
  readonly connections: number;
  readonly minutes: number;
  readonly rate: number;
  readonly workers: number;
  readonly clients: number;
  readonly baseline?: boolean;
}

interface Sample {
  readonly at_s: number;
  readonly open: number;
  readonly closes: Readonly<Record<string, number>>;
  readonly resident_mib: number;
  readonly bytes_per_connection: number;
  readonly acked: number;
  readonly ack_p99_ms: number;
}

export interface ConnectionsReport {
  readonly ok: boolean;
  readonly options: ConnectionsOptions;
  readonly opened_in_s: number;
  readonly refusals: Readonly<Record<string, number>>;
  readonly idle_resident_mib: number;
  /** Cores that all processes together used, over the whole time that the connections were held. */
  readonly cpu_cores: number;
  readonly samples: readonly Sample[];
}

/** At most this much resident memory a connection, beyond what the processes have without any. */
const TARGET_BYTES = 10 * 1_024;
const SETTLE_MS = 5_000;
const STEP_S = 20;
const MIB = 1 << 20;

/** Opens the connections, holds them with pings and a trickle of messages, and watches that none is lost. */
export async function holdConnections(
  bench: Bench,
  options: ConnectionsOptions,
  progress: (line: string) => void,
): Promise<ConnectionsReport> {
  const system = await (options.baseline ? bench.baseline(options.workers) : bench.gateway(options.workers));
  const clients = new ClientProcesses(options.clients);
  try {
    await warmUp(bench, system);
    const idle = sampleFamily(system.pid).rssBytes;
    progress(`idle: ${Math.round(idle / MIB)} MiB`);
    const { ms, refusals } = await clients.open(system.url, await bench.tokens(options.connections));
    progress(`${options.connections} connections in ${(ms / 1_000).toFixed(1)} s`);
    const cpuBefore = sampleFamily(system.pid).cpuMicros;
    const samples: Sample[] = [];
    const started = performance.now();
    const endMs = started + options.minutes * 60_000;
    do {
      const sample = await observe(clients, system, options, idle, started);
      samples.push(sample);
      progress(JSON.stringify(sample));
    } while (performance.now() < endMs);
    const elapsedS = (performance.now() - started) / 1_000;
    const last = samples.at(-1) as Sample;
    return {
      ok: last.open === options.connections && last.bytes_per_connection <= TARGET_BYTES,
      options,
      opened_in_s: Math.round(ms / 100) / 10,
      refusals,
      idle_resident_mib: Math.round(idle / MIB),
      cpu_cores: Math.round((sampleFamily(system.pid).cpuMicros - cpuBefore) / elapsedS / 10_000) / 100,
      samples,
    };
  } finally {
    clients.stop();
    await system.stop();
  }
}

/** Some connections that come, speak and go: code is compiled and pools are filled before the idle memory is read. */
async function warmUp(bench: Bench, system: SystemUnderTest): Promise<void> {
  const clients = new ClientProcesses(1);
  await clients.open(system.url, await bench.tokens(400));
  await clients.send({ ratePerS: 500, seconds: 3 });
  await clients.drop();
  clients.stop();
  await delay(SETTLE_MS);
}

async function observe(
  clients: ClientProcesses,
  system: SystemUnderTest,
  { connections, rate }: ConnectionsOptions,
  idle: number,
  started: number,
): Promise<Sample> {
  const sent = rate > 0 ? await clients.send({ ratePerS: rate, seconds: STEP_S }) : [];
  if (rate === 0) await delay(STEP_S * 1_000);
  const { open, closes } = await clients.status();
  const resident = sampleFamily(system.pid).rssBytes;
  return {
    at_s: Math.round((performance.now() - started) / 1_000),
    open,
    closes,
    resident_mib: Math.round(resident / MIB),
    bytes_per_connection: Math.round((resident - idle) / connections),
    acked: sent.reduce((sum, { acked }) => sum + acked, 0),
    ack_p99_ms: ackLatency(sent).p99,
  };
}
