import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { LatencyHistogram, type LatencySummary } from '../../services/operator/latency-histogram.ts';
import type { ClientCommand, ClientReport, ReportOf, SendPlan } from './client-protocol.ts';

const CLIENT = join(import.meta.dirname, 'client.ts');
/** A process has one source address for itself, with 50,000 ports. */
const SOURCE_PREFIX = '127.0.0.';
const HANDSHAKES = 64;

/** The processes that hold the bots. */
export class ClientProcesses {
  readonly #processes: readonly ChildProcess[];

  constructor(processes: number) {
    this.#processes = Array.from({ length: processes }, () => fork(CLIENT));
  }

  /** Opens one socket a token. @returns milliseconds until the last one was open, and the refusals on the way. */
  async open(url: string, tokens: readonly string[]): Promise<{ ms: number; refusals: Record<string, number> }> {
    const share = Math.ceil(tokens.length / this.#processes.length);
    const reports = await this.#all('open', (index) => ({
      do: 'open',
      url,
      tokens: tokens.slice(index * share, (index + 1) * share),
      sources: [`${SOURCE_PREFIX}${index + 2}`],
      handshakes: HANDSHAKES,
    }));
    return { ms: Math.max(...reports.map(({ ms }) => ms)), refusals: sumUp(reports.map((it) => it.refusals)) };
  }

  async send({ ratePerS, outstanding, seconds }: SendPlan): Promise<ReportOf<'send'>[]> {
    const share = this.#processes.length;
    return await this.#all('send', () => ({
      do: 'send',
      plan: {
        ratePerS: ratePerS / share,
        seconds,
        ...(outstanding !== undefined && { outstanding: Math.ceil(outstanding / share) }),
      },
    }));
  }

  async status(): Promise<{ open: number; closes: Record<string, number> }> {
    const reports = await this.#all('status', () => ({ do: 'status' }));
    return { open: reports.reduce((sum, { open }) => sum + open, 0), closes: sumUp(reports.map((it) => it.closes)) };
  }

  async drop(): Promise<void> {
    await this.#all('drop', () => ({ do: 'drop' }));
  }

  stop(): void {
    for (const child of this.#processes) child.kill('SIGKILL');
  }

  async #all<D extends ClientReport['did']>(did: D, command: (index: number) => ClientCommand): Promise<ReportOf<D>[]> {
    return await Promise.all(
      this.#processes.map(
        (child, index) =>
          new Promise<ReportOf<D>>((resolve, reject) => {
            const onExit = () => reject(new Error('a client process ended'));
            const onMessage = (report: ClientReport) => {
              if (report.did !== did) return;
              child.off('message', onMessage).off('exit', onExit);
              resolve(report as ReportOf<D>);
            };
            child.on('message', onMessage).once('exit', onExit);
            child.send(command(index));
          }),
      ),
    );
  }
}

/** Latency of the acks that all processes got, in milliseconds. */
export const ackLatency = (reports: readonly ReportOf<'send'>[]): LatencySummary =>
  LatencyHistogram.merged(reports.map(({ latencies }) => latencies)).summary();

function sumUp(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const record of records) {
    for (const [key, count] of Object.entries(record)) sums[key] = (sums[key] ?? 0) + count;
  }
  return sums;
}
