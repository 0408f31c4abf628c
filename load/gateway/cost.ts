import { median, percentile } from '../kit/latencies.ts';
import { cpuSeconds } from '../kit/processes.ts';
import { Fleet } from './fleet.ts';
import type { Bench, Target } from './target.ts';

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
  readonly floor: readonly Round[];
  readonly gateway_us: number;
  readonly floor_us: number;
  /** Of the medians. */
  readonly ratio: number;
}

const WARM_UP_S = 4;
const CLIENTS = 1;

/** CPU a message of the gateway with all guards on, and of the floor, in turn. */
export async function measureCost(
  bench: Bench,
  options: CostOptions,
  progress: (line: string) => void,
): Promise<CostReport> {
  const { workers, rounds } = options;
  const tokens = await bench.tokens(options.sockets);
  const found: Record<'floor' | 'gateway', Round[]> = { floor: [], gateway: [] };
  for (let round = 0; round < rounds; round++) {
    for (const name of ['floor', 'gateway'] as const) {
      const target = await bench[name](workers);
      try {
        const measured = await measure(target, tokens, options);
        found[name].push(measured);
        progress(`${name}: ${measured.cpu_us_per_message} µs a message, ack p99 ${measured.ack_p99_ms} ms`);
      } finally {
        await target.stop();
      }
    }
  }
  const [gateway, floor] = [found.gateway, found.floor].map((them) => median(them.map((it) => it.cpu_us_per_message)));
  const ratio = Math.round(((gateway ?? 0) / (floor ?? 1)) * 100) / 100;
  return { options, ...found, gateway_us: gateway ?? 0, floor_us: floor ?? 0, ratio };
}

async function measure(target: Target, tokens: readonly string[], { rate, seconds }: CostOptions): Promise<Round> {
  const fleet = new Fleet(CLIENTS);
  try {
    await fleet.open(target.url, tokens);
    await fleet.send({ ratePerS: rate, seconds: WARM_UP_S });
    const before = cpuSeconds(target.pid);
    const reports = await fleet.send({ ratePerS: rate, seconds });
    const used = cpuSeconds(target.pid) - before;
    const acked = reports.reduce((sum, report) => sum + report.acked, 0);
    return {
      cpu_us_per_message: Math.round((used * 1e7) / acked) / 10,
      ack_p99_ms: percentile(
        reports.map(({ latencies }) => latencies),
        0.99,
      ),
      acked,
      nacked: reports.reduce((sum, report) => sum + report.nacked, 0),
    };
  } finally {
    fleet.stop();
  }
}
