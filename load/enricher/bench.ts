import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../../services/core/testing/eventually.ts';
import { ChatCodec } from '../../services/platform/avro/codec.ts';
import { openRegistry } from '../../services/platform/avro/registry-access.ts';
import { createKafka, type Kafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { ClusterView } from '../../services/platform/kafka/read/cluster-view.ts';
import { topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';
import type { BenchStack } from '../kit/bench-stack.ts';
import type { ApiProcess } from './api-process.ts';
import { type BenchTopics, makeBenchTopics } from './bench-topics.ts';
import { EventSource } from './event-source.ts';
import type { LoadEvent } from './messages.ts';
import { countRecords, type LoggedOutcome, readOutcomes } from './outcome-log.ts';
import { type ProgramName, type StartOptions, SystemUnderTest } from './system-under-test.ts';

export interface RunContext {
  readonly stack: BenchStack;
  readonly api: ApiProcess;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

interface Parts {
  readonly kafka: Kafka;
  readonly codec: ChatCodec;
  readonly topics: BenchTopics;
  readonly source: EventSource;
  readonly view: ClusterView;
}

const POLL_MS = 100;
/** Nothing more came for so long after the last expected outcome: the run is over. */
const QUIET_MS = 500;
const LEADERLESS_MS = 10_000;
const TELL_MS = 5_000;

/** Topics of one run, a source of events into them, and systems between them and the API. */
export class Bench {
  readonly topics: BenchTopics;
  readonly source: EventSource;
  readonly view: ClusterView;
  readonly kafka: Kafka;
  readonly #context: RunContext;
  readonly #codec: ChatCodec;
  readonly #systems: SystemUnderTest[] = [];

  private constructor(context: RunContext, { kafka, codec, topics, source, view }: Parts) {
    this.#context = context;
    this.kafka = kafka;
    this.#codec = codec;
    this.topics = topics;
    this.source = source;
    this.view = view;
  }

  /** @param partitions of chat.events; twelve by default, as chat.enriched has always. */
  static async open(context: RunContext, events: Iterator<LoadEvent, void>, partitions?: number): Promise<Bench> {
    const { kafkaBrokers, registryUrl } = context.stack;
    const log = createLogger('bench', 'silent');
    const kafka = createKafka({ brokers: [kafkaBrokers], clientId: 'bench', log });
    const topics = await makeBenchTopics(kafka, partitions);
    const codec = await ChatCodec.connect({
      registry: openRegistry(registryUrl),
      topicNames: topicNames(topics.prefix),
    });
    const source = await EventSource.connect(kafka, { codec, topic: topics.events, events, log });
    const view = await ClusterView.connect(kafka, [kafkaBrokers]);
    return new Bench(context, { kafka, codec, topics, source, view });
  }

  async start(
    name: ProgramName,
    env: Readonly<Record<string, string>>,
    how: StartOptions = {},
  ): Promise<SystemUnderTest> {
    const { stack, api } = this.#context;
    const addresses = {
      KAFKA_BROKERS: stack.kafkaBrokers,
      SCHEMA_REGISTRY_URL: stack.registryUrl,
      NLP_URL: api.url,
      TOPIC_PREFIX: this.topics.prefix,
    };
    const system = await SystemUnderTest.start({ name, env: { ...addresses, ...env }, ...how });
    this.#systems.push(system);
    return system;
  }

  /** Records on chat.enriched. A topic that was just made may be without leaders for a moment on a busy broker. */
  outcomes(): Promise<number> {
    return eventually(() => countRecords(this.view, this.topics.enriched), { timeoutMs: LEADERLESS_MS });
  }

  /** Waits until the log holds that many outcomes and no more come, or the time is up: then false. */
  async untilOutcomes(
    expected: number,
    system: SystemUnderTest,
    deadlineMs: number,
    quietMs = QUIET_MS,
  ): Promise<boolean> {
    const { progress, signal } = this.#context;
    let [count, changedMs, toldMs] = [0, performance.now(), performance.now()];
    while (performance.now() < deadlineMs) {
      signal.throwIfAborted();
      if (system.ended) throw new Error(`the system ended by itself:\n${system.lastWords}`);
      const now = await this.outcomes();
      if (now !== count) changedMs = performance.now();
      count = now;
      if (count >= expected && performance.now() - changedMs >= quietMs) return true;
      if (performance.now() - toldMs > TELL_MS) {
        progress(`  ${count} of ${expected} outcomes`);
        toldMs = performance.now();
      }
      await delay(POLL_MS);
    }
    return false;
  }

  readOutcomes(): Promise<LoggedOutcome[]> {
    return readOutcomes(this.kafka, this.#codec, this.topics, [this.#context.stack.kafkaBrokers]);
  }

  /** Ends what still runs and removes the topics. */
  async close(): Promise<void> {
    await Promise.all(this.#systems.map((system) => system.kill()));
    await this.source.close();
    await this.view.close();
    await this.topics.remove();
  }
}
