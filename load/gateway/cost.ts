import { median } from '../kit/percentiles.ts';
import { sampleFamily } from '../kit/process-family.ts';
import type { Bench, SystemUnderTest } from './bench.ts';
import { ackLatency, ClientProcesses } from './client-processes.ts';

export interface CostOptions {
  readonly sockets: number;
  readonly rate: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly workers: number;
}

interface Round {
  readonly cpu_us_per_message: number;
  readonly ack_p99_ms: number;
  readonly acked: number;
  readonly nacked: number;
}

export interface CostReport {
  readonly options: CostOptions;
  readonly gateway: readonly Round[];
  readonly baseline: readonly Round[];
  readonly gateway_us: number;
  readonly baseline_us: number;
  /** Ratio of the medians. */
  readonly ratio: number;
}

const WARM_UP_S = 4;
const CLIENTS = 1;

/** CPU a message of the gateway with all guards on, and of the baseline, in turn. */
export async function measureCost(
  bench: Bench,
  options: CostOptions,
  progress: (line: string) => void,
): Promise<CostReport> {
  const { workers, rounds } = options;
  const tokens = await bench.tokens(options.sockets);
  const found: Record<'baseline' | 'gateway', Round[]> = { baseline: [], gateway: [] };
  for (let round = 0; round < rounds; round++) {
    for (const name of ['baseline', 'gateway'] as const) {
      const system = await bench[name](workers);
      try {
        const measured = await measure(system, tokens, options);
        found[name].push(measured);
        progress(`${name}: ${measured.cpu_us_per_message} µs a message, ack p99 ${measured.ack_p99_ms} ms`);
      } finally {
        await system.stop();
      }
    }
  }
  const [gateway, baseline] = [found.gateway, found.baseline].map((them) =>
    median(them.map((it) => it.cpu_us_per_message)),
  );
  const ratio = Math.round(((gateway ?? 0) / (baseline ?? 1)) * 100) / 100;
  return { options, ...found, gateway_us: gateway ?? 0, baseline_us: baseline ?? 0, ratio };
}

async function measure(
  system: SystemUnderTest,
  tokens: readonly string[],
  { rate, seconds }: CostOptions,
): Promise<Round> {
  const clients = new ClientProcesses(CLIENTS);
  try {
    await clients.open(system.url, tokens);
    await clients.send({ ratePerS: rate, seconds: WARM_UP_S });
    const before = sampleFamily(system.pid).cpuMicros;
    const reports = await clients.send({ ratePerS: rate, seconds });
    const usedMicros = sampleFamily(system.pid).cpuMicros - before;
    const acked = reports.reduce((sum, report) => sum + report.acked, 0);
    return {
      cpu_us_per_message: Math.round((usedMicros * 10) / acked) / 10,
      ack_p99_ms: ackLatency(reports).p99,
      acked,
      nacked: reports.reduce((sum, report) => sum + report.nacked, 0),
    };
  } finally {
    clients.stop();
  }
}
