import type { Bench } from './bench.ts';
import { ackLatency, ClientProcesses } from './client-processes.ts';

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
  const system = await bench.gateway(workers);
  const clients = new ClientProcesses(CLIENTS);
  try {
    await clients.open(system.url, await bench.tokens(sockets));
    await clients.send({ ratePerS: 500, seconds: 3 });
    const full = await clients.send({ ratePerS: 0, outstanding, seconds });
    const maxRate = full.reduce((sum, { acked, elapsedMs }) => sum + (acked * 1_000) / elapsedMs, 0);
    progress(`at most ${Math.round(maxRate)} messages/s`);
    await clients.send({ ratePerS: maxRate / 2, seconds: 3 });
    const half = await clients.send({ ratePerS: maxRate / 2, seconds });
    const { p50, p99 } = ackLatency(half);
    return {
      ok: p99 <= MAX_P99_MS,
      options,
      max_rate: Math.round(maxRate),
      half_rate: Math.round(maxRate / 2),
      ack_p50_ms: p50,
      ack_p99_ms: p99,
    };
  } finally {
    clients.stop();
    await system.stop();
  }
}
