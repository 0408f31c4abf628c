import { setTimeout as delay } from 'node:timers/promises';
import { closeAll, connectAll } from '../../services/client/connect-all.ts';
import { ParleyClient } from '../../services/client/parley-client.ts';
import { type BalancerName, LoadBalancer } from '../../services/local/testing/load-balancer.ts';
import { freePort } from '../../services/local/testing/stack.ts';
import type { Bench, SystemUnderTest } from '../gateway/bench.ts';
import { recordsIn } from '../gateway/records-in.ts';
import { type Percentiles, percentilesOf } from '../kit/percentiles.ts';

export interface RollingOptions {
  readonly balancer: BalancerName;
  readonly clients: number;
  readonly rate: number;
  readonly gateways: number;
}

export interface RollingReport {
  readonly ok: boolean;
  readonly options: RollingOptions;
  readonly seconds: number;
  /** Milliseconds from `send` to the ack, of the whole run. */
  readonly ack_ms: Percentiles;
  readonly acks_above_1_s: number;
  readonly most_reconnects_of_a_client: number;
  readonly resent: number;
  readonly nacked: number;
  readonly acked: number;
  /** Records of the log: as many as were acked where none is lost and none there twice. */
  readonly in_log: number;
}

const LATE_MS = 1_000;
/** Steady time before the first restart and after the last. */
const STEADY_MS = 3_000;
/** HAProxy asks once a second, and once more may be late. */
const DRAIN_DELAY_MS = { nginx: '0', haproxy: '2000', 'haproxy-tcp': '2000' };
const DRAIN_MS = 15_000;

/**
 * Restarts gateways one after another behind a load balancer, the new one first, under clients that send at a rate: how
 * late are their acks, and is anything lost?
 */
export async function rollingRestart(
  bench: Bench,
  options: RollingOptions,
  progress: (line: string) => void,
): Promise<RollingReport> {
  const { balancer: name, gateways: count } = options;
  const ports = await Promise.all(Array.from({ length: count + 1 }, () => freePort()));
  const balancer = await LoadBalancer.start(name, ports);
  const tokens = await bench.tokens(options.clients + 1);
  const probe = { url: balancer.url, token: tokens.pop() ?? '' };
  const start = async (slot: number): Promise<SystemUnderTest> => {
    const system = await bench.gateway(1, {
      GATEWAY_PORT: String(ports[slot]),
      TRUSTED_PROXIES: '127.0.0.1',
      PROXY_PROTOCOL: name === 'haproxy-tcp' ? 'on' : 'off',
      DRAIN_DELAY_MS: DRAIN_DELAY_MS[name],
      DRAIN_HANDOVER_MS: '2000',
    });
    await inTurn(system, probe);
    return system;
  };
  const running: SystemUnderTest[] = [];
  try {
    for (let slot = 0; slot < count; slot++) running.push(await start(slot));
    const clients = await connectAll(balancer.url, tokens);
    const traffic = new Traffic(clients, options.rate);
    const startedMs = performance.now();
    await delay(STEADY_MS);
    for (let index = 0; index < count; index++) {
      running.push(await start((index + count) % (count + 1)));
      const old = running.shift();
      old?.signal('SIGTERM');
      await old?.ended;
      progress(`gateway ${index + 1} of ${count} is restarted; acks so far: ${traffic.latencies.length}`);
    }
    await delay(STEADY_MS);
    await traffic.stop();
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    const sum = (pick: 'acked' | 'resent' | 'postponed') =>
      clients.reduce((total, { counters }) => total + counters[pick], 0);
    const reconnects = Math.max(...clients.map(({ counters }) => counters.reconnects));
    await closeAll(clients, DRAIN_MS);
    const late = traffic.latencies.filter((ms) => ms > LATE_MS).length;
    const [acked, inLog] = [sum('acked'), await recordsIn(bench)];
    return {
      ok: late === 0 && reconnects <= 1 && acked === inLog && traffic.failed === 0,
      options,
      seconds,
      ack_ms: rounded(percentilesOf(traffic.latencies)),
      acks_above_1_s: late,
      most_reconnects_of_a_client: reconnects,
      resent: sum('resent'),
      nacked: sum('postponed'),
      acked,
      in_log: inLog,
    };
  } finally {
    await Promise.all(running.map((system) => system.stop()));
    await balancer.stop();
  }
}

const rounded = (percentiles: Percentiles): Percentiles =>
  Object.fromEntries(Object.entries(percentiles).map(([key, value]) => [key, Math.round(value * 10) / 10])) as never;

/** Waits until the load balancer gives new connections to a gateway that has none yet. */
async function inTurn({ adminUrl }: SystemUnderTest, probe: { url: string; token: string }): Promise<void> {
  for (;;) {
    const client = await ParleyClient.connect(probe);
    const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
    await client.close();
    if (/^parley_gateway_connections(?:\{[^}]*\})? [1-9]/m.test(metrics)) return;
    await delay(100);
  }
}

/** Sends by a schedule, whatever the answers do, each message over the next client. */
class Traffic {
  readonly latencies: number[] = [];
  failed = 0;
  readonly #clients: readonly ParleyClient[];
  readonly #ratePerMs: number;
  readonly #sends: Promise<void>[] = [];
  readonly #running: Promise<void>;
  #stopping = false;

  constructor(clients: readonly ParleyClient[], ratePerS: number) {
    this.#clients = clients;
    this.#ratePerMs = ratePerS / 1_000;
    this.#running = this.#run();
  }

  /** Resolves when all that was sent is answered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    await Promise.all(this.#sends);
  }

  async #run(): Promise<void> {
    const startedMs = performance.now();
    for (let sent = 0; !this.#stopping; await delay(2)) {
      const due = (performance.now() - startedMs) * this.#ratePerMs;
      for (; sent < due; sent++) this.#sends.push(this.#send(sent, startedMs + sent / this.#ratePerMs));
    }
  }

  /** @param dueMs when it was meant to go: what it waits for in this process counts as well. */
  async #send(index: number, dueMs: number): Promise<void> {
    const client = this.#clients[index % this.#clients.length];
    try {
      const conversation_id = `c-${index % this.#clients.length}`;
      await client?.send({ id: `m-${index}`, conversation_id, speaker: 'user', text: 'Where is my parcel?' });
      this.latencies.push(performance.now() - dueMs);
    } catch {
      this.failed += 1;
    }
  }
}
