import type { Turn } from '../kit/chats.ts';
import { sampleProcess } from '../kit/proc-stat.ts';
import { Bench, type RunContext } from './bench.ts';
import { loadEvents } from './messages.ts';
import { figuresOf, type RunFigures } from './run-figures.ts';
import type { SystemName } from './system-under-test.ts';

export interface RunOptions {
  readonly messages: number;
  /** Messages a second; undefined: all are in the topic before the system starts. */
  readonly ratePerS?: number;
  /** Variables of the system under test, besides its addresses. */
  readonly env: Readonly<Record<string, string>>;
  readonly nodeArgs?: readonly string[];
  readonly chats: Iterator<readonly Turn[], void>;
  /** The run ends after this long, even if messages are left. */
  readonly limitMs: number;
  /** Partitions of chat.events; twelve by default. */
  readonly partitions?: number;
  /** Watch the system's event loop. */
  readonly probeLoop?: boolean;
}

/**
 * Before messages count, at a rate: connections open, limits settle, and V8 as well as the broker's JVM compile what is hot.
 * Second by second the p99 of baseline and enricher falls until the ninth.
 */
const WARM_UP_S = 10;

/** One system from its start to its last outcome, on topics of its own. */
export async function runOnce(name: SystemName, options: RunOptions, context: RunContext): Promise<RunFigures> {
  const { chats, partitions } = options;
  const bench = await Bench.open(context, loadEvents(chats, 0, partitions), partitions);
  try {
    const driven = await drive(name, options, context, bench);
    const { system, ...figures } = driven;
    const outcomes = await bench.readOutcomes();
    const [api, book] = [await context.api.stats(), await context.api.book()];
    const { samples, maxRssBytes } = system;
    const { receivedAtMs } = bench.source;
    return figuresOf({ ...figures, outcomes, samples, maxRssBytes, api, book, receivedAtMs });
  } finally {
    await bench.close();
  }
}

async function drive(name: SystemName, options: RunOptions, { api, signal }: RunContext, bench: Bench) {
  const { ratePerS, limitMs, env, nodeArgs, probeLoop } = options;
  const warmUp = ratePerS === undefined ? 0 : 1 + Math.round(ratePerS * WARM_UP_S);
  const messages = options.messages + warmUp;
  await api.reset(messages);
  if (ratePerS === undefined) await bench.source.preload(messages);
  const apiBefore = sampleProcess(api.pid).cpuMicros;
  const system = await bench.start(name, env, { nodeArgs, probeLoop });
  const deadlineMs = performance.now() + limitMs;
  try {
    if (ratePerS !== undefined) {
      // One message ahead: its outcome says that the system is up.
      await bench.source.pace(1, ratePerS, signal);
      await bench.untilOutcomes(1, system, deadlineMs);
      system.restartProbe();
      await bench.source.pace(messages - 1, ratePerS, signal);
    }
    await bench.untilOutcomes(1, system, deadlineMs, 0);
    if (ratePerS === undefined) system.restartProbe();
    await bench.untilOutcomes(messages, system, deadlineMs);
  } finally {
    await system.stop();
  }
  const endedAtMs = Date.now();
  const apiCpuMicros = sampleProcess(api.pid).cpuMicros - apiBefore;
  return { system, messages, firstMeasured: warmUp, apiCpuMicros, endedAtMs, loopDelay: system.loopDelay };
}
