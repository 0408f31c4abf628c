import { randomBytes } from 'node:crypto';
import { closeAll, connectAll } from '../../services/client/connect-all.ts';
import { systemClock } from '../../services/core/clock.ts';
import type { Environment } from '../../services/core/config.ts';
import { seededRandom } from '../../services/core/random.ts';
import { withClickHouse } from '../../services/operator/clickhouse.ts';
import { withCluster } from '../../services/operator/cluster.ts';
import { botTokens, findGateway } from '../../services/operator/gateway.ts';
import type { LatencySummary } from '../../services/operator/latency-histogram.ts';
import { type OperatorSettings, readSettings, runDirOf } from '../../services/operator/settings.ts';
import type { ClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { verifySources } from '../../services/verify/sources.ts';
import { type VerifyReport, verify } from '../../services/verify/verify.ts';
import { Chats, demoChats, fileChats } from '../kit/chats.ts';
import { cpuPerMessage, readCpu } from '../kit/cpu.ts';
import { assertLoopback } from '../kit/loopback.ts';
import { insightLatency, visibleMessages } from './analytics.ts';
import { arrivals } from './arrivals.ts';
import { Freshness } from './freshness.ts';
import { OpenLoop } from './open-loop.ts';
import type { LoadOptions } from './options.ts';

export interface LoadReport {
  /** Everything sent was acked, and verify is ok. */
  readonly ok: boolean;
  readonly run_id: string;
  readonly options: Omit<LoadOptions, 'json'>;
  readonly sent: number;
  readonly acked: number;
  readonly refused: Readonly<Record<string, number>>;
  /** Neither acked nor refused within the drain. */
  readonly unsettled: number;
  /** Temporary nacks, which the clients answered by sending again. */
  readonly postponed: number;
  readonly reconnects: number;
  /** From the intended moment to the ack, milliseconds. */
  readonly ack_latency_ms: LatencySummary;
  /** How late the generator itself was. */
  readonly lateness_ms: LatencySummary;
  readonly insight_latency_ms: LatencySummary;
  /** From the intended moment until a query finds the row; `unseen` markers never came. */
  readonly freshness_ms: LatencySummary & { readonly unseen: number };
  readonly cpu_us_per_message: Readonly<Record<string, number>>;
  readonly verify: VerifyReport;
}

export interface LoadContext {
  readonly env: Environment;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

const DRAIN_MS = 30_000;
const SAMPLE_MS = 500;
const POLL_MS = 250;

/** One run from connecting to verdict. Bounded: its length, then 30 s for acks, 30 s for markers, then `wait`. */
export async function runLoad(options: LoadOptions, context: LoadContext): Promise<LoadReport> {
  const settings = readSettings(context.env);
  const url = await findGateway(settings, options.url);
  assertLoopback({
    'the gateway': url,
    CLICKHOUSE_URL: settings.CLICKHOUSE_URL,
    ...Object.fromEntries(settings.KAFKA_BROKERS.map((broker) => [`KAFKA_BROKERS ${broker}`, broker])),
  });
  return await withClickHouse(settings, (clickhouse) => drive(options, { ...context, settings, url, clickhouse }));
}

interface Surroundings extends LoadContext {
  readonly settings: OperatorSettings;
  readonly url: string;
  readonly clickhouse: ClickHouse;
}

async function drive(options: LoadOptions, around: Surroundings): Promise<LoadReport> {
  const { settings, clickhouse, progress, signal } = around;
  const runId = `load-${Date.now().toString(36)}${randomBytes(2).toString('hex')}`;
  const source = options.file === undefined ? demoChats(options.seed) : await fileChats(options.file);
  const bots = await connectAll(around.url, await botTokens(settings, options.bots, options.tenants));
  progress(`${bots.length} bots connected; ${options.rate} messages/s for ${options.seconds} s. Run id ${runId}.`);
  const freshness = new Freshness({
    visible: (ids) => visibleMessages(clickhouse, ids),
    clock: systemClock,
    sampleEveryMs: SAMPLE_MS,
    pollEveryMs: POLL_MS,
  });
  const loop = openLoop(options, runId, bots, new Chats(source, runId), freshness, signal);
  const ticker = setInterval(() => progress(`${loop.sent} sent, ${loop.acked} acked`), 5_000);
  const cpuBefore = await readCpu(runDirOf(settings));
  freshness.start();
  try {
    await loop.run();
    await loop.settled(DRAIN_MS);
    await freshness.finish(DRAIN_MS);
  } finally {
    clearInterval(ticker);
    await closeAll(bots, 0);
  }
  const cpu = cpuPerMessage(cpuBefore, await readCpu(runDirOf(settings)), loop.acked);
  const { unsettled } = loop;
  const verdict = await verdictOf(options, around);
  const { json: _, ...told } = options;
  return {
    ok: verdict.ok && loop.acked === loop.sent,
    run_id: runId,
    options: told,
    sent: loop.sent,
    acked: loop.acked,
    refused: loop.refused,
    unsettled,
    postponed: bots.reduce((sum, { counters }) => sum + counters.postponed, 0),
    reconnects: bots.reduce((sum, { counters }) => sum + counters.reconnects, 0),
    ack_latency_ms: loop.ackLatency.summary(),
    lateness_ms: loop.lateness.summary(),
    insight_latency_ms: await insightLatency(clickhouse, runId),
    freshness_ms: { ...freshness.latency.summary(), unseen: freshness.unseen },
    cpu_us_per_message: cpu,
    verify: verdict,
  };
}

function openLoop(
  options: LoadOptions,
  runId: string,
  bots: Awaited<ReturnType<typeof connectAll>>,
  chats: Chats,
  freshness: Freshness,
  signal: AbortSignal,
): OpenLoop {
  const random = seededRandom(options.seed);
  return new OpenLoop({
    bots,
    nextTurn: (bot) => chats.next(bot),
    arrivals: arrivals({
      process: options.arrivals,
      ratePerS: options.rate,
      durationMs: options.seconds * 1_000,
      random,
    }),
    runId,
    warmUpMs: Math.min(options.warmup, options.seconds / 2) * 1_000,
    clock: systemClock,
    random,
    signal,
    onSent: ({ id }, intendedMs) => freshness.offer(id, intendedMs),
  });
}

const verdictOf = (
  { wait }: LoadOptions,
  { settings, clickhouse, progress, signal }: Surroundings,
): Promise<VerifyReport> =>
  withCluster(settings, (kafka) =>
    verify(verifySources(kafka, clickhouse, settings.TOPIC_PREFIX), {
      clock: systemClock,
      waitMs: wait,
      signal,
      progress: (inFlight) => progress(`verify: ${inFlight} in flight`),
    }),
  );
