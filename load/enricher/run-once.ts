import { setTimeout as delay } from 'node:timers/promises';
import { ChatCodec } from '../../services/platform/avro/codec.ts';
import { ClusterView } from '../../services/platform/kafka/cluster-view.ts';
import { createKafka } from '../../services/platform/kafka/kafka.ts';
import { topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';
import type { Turn } from '../chats.ts';
import type { ApiProcess } from './api-process.ts';
import type { BenchStack } from './bench-stack.ts';
import { type BenchTopics, makeBenchTopics } from './bench-topics.ts';
import { EventSource } from './event-source.ts';
import { loadEvents } from './messages.ts';
import { countRecords, readOutcomes } from './outcome-log.ts';
import { figuresOf, type RunFigures } from './run-figures.ts';
import { Subject, type SubjectName } from './subject.ts';

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
}

export interface RunContext {
  readonly stack: BenchStack;
  readonly api: ApiProcess;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

const POLL_MS = 100;
/** Nothing more came for so long after the last expected outcome: the run is over. */
const QUIET_MS = 500;
/** Before messages count, at a rate: connections open and limits settle. */
const WARM_UP_S = 5;

/** One subject from its start to its last outcome, on topics of its own. */
export async function runOnce(name: SubjectName, options: RunOptions, context: RunContext): Promise<RunFigures> {
  const { kafkaBrokers } = context.stack;
  const brokers = [kafkaBrokers];
  const log = createLogger('bench', 'error');
  const kafka = createKafka({ brokers, clientId: 'bench', log });
  const topics = await makeBenchTopics(kafka);
  const codec = await ChatCodec.connect({
    registryUrl: context.stack.registryUrl,
    topicNames: topicNames(topics.prefix),
  });
  const events = loadEvents(options.chats);
  const source = await EventSource.connect(kafka, { codec, topic: topics.events, events, log });
  const view = await ClusterView.connect(kafka, brokers);
  try {
    const { subject, ...driven } = await drive(name, options, context, { topics, source, view });
    const outcomes = await readOutcomes(kafka, codec, topics, brokers);
    const [api, book] = [await context.api.stats(), await context.api.book()];
    const { samples, maxRssBytes } = subject;
    return figuresOf({ ...driven, outcomes, samples, maxRssBytes, api, book });
  } finally {
    await source.close();
    await view.close();
    await topics.remove();
  }
}

interface Parts {
  readonly topics: BenchTopics;
  readonly source: EventSource;
  readonly view: ClusterView;
}

async function drive(name: SubjectName, options: RunOptions, context: RunContext, { topics, source, view }: Parts) {
  const { ratePerS, limitMs, env, nodeArgs } = options;
  const warmUp = ratePerS === undefined ? 0 : 1 + Math.round(ratePerS * WARM_UP_S);
  const messages = options.messages + warmUp;
  await context.api.reset(messages);
  if (ratePerS === undefined) await source.preload(messages);
  const subject = await Subject.start({
    name,
    env: { ...addresses(context, topics.prefix), ...env },
    ...(nodeArgs && { nodeArgs }),
  });
  const deadlineMs = performance.now() + limitMs;
  const reached = (count: number) => untilCount(view, topics.enriched, count, { subject, deadlineMs, ...context });
  try {
    if (ratePerS !== undefined) {
      // One message ahead: its outcome says that the subject is up.
      await source.pace(1, ratePerS, context.signal);
      await reached(1);
      await source.pace(messages - 1, ratePerS, context.signal);
    }
    await reached(messages);
  } finally {
    await subject.stop();
  }
  return { subject, messages, firstMeasured: warmUp };
}

const addresses = ({ stack, api }: RunContext, prefix: string) => ({
  KAFKA_BROKERS: stack.kafkaBrokers,
  SCHEMA_REGISTRY_URL: stack.registryUrl,
  NLP_URL: api.url,
  TOPIC_PREFIX: prefix,
});

interface Waiting {
  readonly subject: Subject;
  readonly deadlineMs: number;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Waits until the topic holds that many records and no more come, or the time is up. */
async function untilCount(view: ClusterView, topic: string, expected: number, waiting: Waiting): Promise<void> {
  const { subject, deadlineMs, progress, signal } = waiting;
  let [count, changedMs, toldMs] = [0, performance.now(), performance.now()];
  while (performance.now() < deadlineMs && !signal.aborted) {
    if (subject.ended) throw new Error(`the subject ended by itself:\n${subject.lastWords}`);
    const now = await countRecords(view, topic);
    if (now !== count) changedMs = performance.now();
    count = now;
    if (count >= expected && performance.now() - changedMs >= QUIET_MS) return;
    if (performance.now() - toldMs > 5_000) {
      progress(`  ${count} of ${expected} outcomes`);
      toldMs = performance.now();
    }
    await delay(POLL_MS);
  }
  signal.throwIfAborted();
}
