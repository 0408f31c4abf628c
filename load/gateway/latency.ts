import { percentile } from '../kit/latencies.ts';
import { Fleet } from './fleet.ts';
import type { Bench } from './target.ts';

export interface LatencyOptions {
  readonly sockets: number;
  readonly outstanding: number;
  readonly seconds: number;
  readonly workers: number;
}

export interface LatencyReport {
  readonly ok: boolean;
  readonly options: LatencyOptions;
  /** Messages a second with so many outstanding: this machine's most, broker and clients included. */
  readonly max_rate: number;
  readonly half_rate: number;
  readonly ack_p50_ms: number;
  readonly ack_p99_ms: number;
}

const MAX_P99_MS = 50;
const CLIENTS = 1;

/** The highest rate that this machine carries, then the latency of acks at half of it, by a fixed schedule. */
export async function latencyAtHalfRate(
  bench: Bench,
  options: LatencyOptions,
  progress: (line: string) => void,
): Promise<LatencyReport> {
  const { sockets, outstanding, seconds, workers } = options;
  const target = await bench.gateway(workers);
  const fleet = new Fleet(CLIENTS);
  try {
    await fleet.open(target.url, await bench.tokens(sockets));
    await fleet.send({ ratePerS: 500, seconds: 3 });
    const full = await fleet.send({ ratePerS: 0, outstanding, seconds });
    const maxRate = full.reduce((sum, { acked, elapsedMs }) => sum + (acked * 1_000) / elapsedMs, 0);
    progress(`at most ${Math.round(maxRate)} messages/s`);
    await fleet.send({ ratePerS: maxRate / 2, seconds: 3 });
    const half = await fleet.send({ ratePerS: maxRate / 2, seconds });
    const buckets = half.map(({ latencies }) => latencies);
    const p99 = percentile(buckets, 0.99);
    return {
      ok: p99 <= MAX_P99_MS,
      options,
      max_rate: Math.round(maxRate),
      half_rate: Math.round(maxRate / 2),
      ack_p50_ms: percentile(buckets, 0.5),
      ack_p99_ms: p99,
    };
  } finally {
    fleet.stop();
    await target.stop();
  }
}
