import type { Turn } from '../kit/chats.ts';
import { sampleProcess } from '../kit/proc-stat.ts';
import { loadEvents } from './messages.ts';
import { Rig, type RunContext } from './rig.ts';
import { figuresOf, type RunFigures } from './run-figures.ts';
import type { SubjectName } from './subject.ts';

export interface RunOptions {
  readonly messages: number;
  /** Messages a second; undefined: all are in the topic before the subject starts. */
  readonly ratePerS?: number;
  /** Of the subject, besides its addresses. */
  readonly env: Readonly<Record<string, string>>;
  readonly nodeArgs?: readonly string[];
  readonly chats: Iterator<readonly Turn[], void>;
  /** The run ends after this long, even if messages are left. */
  readonly limitMs: number;
  /** Watch the subject's event loop. */
  readonly probeLoop?: boolean;
}

/**
 * Before messages count, at a rate: connections open, limits settle, and V8 as well as the broker's JVM compile what is hot.
 * Second by second the p99 of floor and enricher falls until the ninth.
 */
const WARM_UP_S = 10;

/** One subject from its start to its last outcome, on topics of its own. */
export async function runOnce(name: SubjectName, options: RunOptions, context: RunContext): Promise<RunFigures> {
  const rig = await Rig.open(context, loadEvents(options.chats));
  try {
    const driven = await drive(name, options, context, rig);
    const { subject, ...figures } = driven;
    const outcomes = await rig.readOutcomes();
    const [api, book] = [await context.api.stats(), await context.api.book()];
    const { samples, maxRssBytes } = subject;
    const { receivedAtMs } = rig.source;
    return figuresOf({ ...figures, outcomes, samples, maxRssBytes, api, book, receivedAtMs });
  } finally {
    await rig.close();
  }
}

async function drive(name: SubjectName, options: RunOptions, { api, signal }: RunContext, rig: Rig) {
  const { ratePerS, limitMs, env, nodeArgs, probeLoop } = options;
  const warmUp = ratePerS === undefined ? 0 : 1 + Math.round(ratePerS * WARM_UP_S);
  const messages = options.messages + warmUp;
  await api.reset(messages);
  if (ratePerS === undefined) await rig.source.preload(messages);
  const apiBefore = sampleProcess(api.pid).cpuMicros;
  const subject = await rig.start(name, env, { nodeArgs, probeLoop });
  const deadlineMs = performance.now() + limitMs;
  try {
    if (ratePerS !== undefined) {
      // One message ahead: its outcome says that the subject is up.
      await rig.source.pace(1, ratePerS, signal);
      await rig.untilOutcomes(1, subject, deadlineMs);
      subject.restartProbe();
      await rig.source.pace(messages - 1, ratePerS, signal);
    }
    await rig.untilOutcomes(1, subject, deadlineMs, 0);
    if (ratePerS === undefined) subject.restartProbe();
    await rig.untilOutcomes(messages, subject, deadlineMs);
  } finally {
    await subject.stop();
  }
  const endedAtMs = Date.now();
  const apiCpuMicros = sampleProcess(api.pid).cpuMicros - apiBefore;
  return { subject, messages, firstMeasured: warmUp, apiCpuMicros, endedAtMs, loopDelay: subject.loopDelay };
}
