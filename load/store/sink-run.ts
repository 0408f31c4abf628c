import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { outcomePartition } from '../../services/core/outcome-partition.ts';
import { conversationKey } from '../../services/core/partitioner.ts';
import { ChatCodec } from '../../services/platform/avro/codec.ts';
import { openRegistry } from '../../services/platform/avro/registry-access.ts';
import type { ClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { createKafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../../services/platform/kafka/produce/batch-producer.ts';
import { ensureTopics, topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { Metrics } from '../../services/platform/metrics.ts';
import { outcomeHeaders } from '../../services/platform/record-headers.ts';
import type { BenchStack } from '../kit/bench-stack.ts';
import { outcomeNumber, SOURCES } from './outcomes.ts';
import type { Rate } from './readings.ts';

export interface SinkSetup {
  readonly stack: BenchStack;
  readonly clickhouse: ClickHouse;
  readonly prefix: string;
  /** Checkout whose sink is run. */
  readonly dir: string;
  /** Partitions of chat.enriched. */
  readonly partitions: number;
  readonly adminPort: number;
}

/** The sink as a process of its own, and a producer that gives it outcomes as the enricher does. */
export class SinkRun {
  readonly #setup: SinkSetup;
  readonly #child: ChildProcess;
  readonly #producer: BatchProducer;
  readonly #codec: ChatCodec;

  private constructor(setup: SinkSetup, child: ChildProcess, producer: BatchProducer, codec: ChatCodec) {
    this.#setup = setup;
    this.#child = child;
    this.#producer = producer;
    this.#codec = codec;
  }

  static async start(setup: SinkSetup): Promise<SinkRun> {
    const { stack, prefix, dir, partitions, clickhouse, adminPort } = setup;
    const log = createLogger('store-bench', 'silent');
    const kafka = createKafka({ brokers: stack.kafkaBrokers.split(','), clientId: 'store-bench', log });
    const counts = { partitions: SOURCES, enrichedPartitions: partitions };
    await ensureTopics(kafka, { prefix, ...counts, replicationFactor: 1 });
    const codec = await ChatCodec.connect({
      registry: openRegistry(stack.registryUrl),
      topicNames: topicNames(prefix),
    });
    const producer = await BatchProducer.connect(kafka, { log, metrics: new Metrics('store-bench') });
    const child = spawn(process.execPath, ['services/sink/main.ts'], {
      cwd: dir,
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        ...process.env,
        KAFKA_BROKERS: stack.kafkaBrokers,
        SCHEMA_REGISTRY_URL: stack.registryUrl,
        CLICKHOUSE_URL: stack.clickhouseUrl,
        CLICKHOUSE_DATABASE: clickhouse.database,
        TOPIC_PREFIX: prefix,
        TOPIC_PARTITIONS: String(SOURCES),
        ADMIN_PORT: String(adminPort),
        LOG_LEVEL: 'error',
      },
    });
    const run = new SinkRun(setup, child, producer, codec);
    await run.#ready();
    return run;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** An open loop: `perS` outcomes a second, ten times a second, whatever the sink does. */
  async produce({ perS, seconds }: Rate, first: number): Promise<void> {
    const startedMs = performance.now();
    const acks: Promise<void>[] = [];
    let sent = 0;
    while (sent < perS * seconds) {
      const due = Math.min(perS * seconds, Math.floor(((performance.now() - startedMs) / 1_000) * perS));
      for (; sent < due; sent++) acks.push(this.#send(first + sent));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await Promise.all(acks);
  }

  /** Waits until ClickHouse has so many messages. */
  async stored(messages: number): Promise<void> {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const [row] = await this.#setup.clickhouse.query<{ n: number }>('SELECT count() AS n FROM messages');
      if (Number(row?.n) >= messages) return;
      if (performance.now() > deadline) throw new Error(`after a minute ${row?.n} of ${messages} messages are stored`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  /** Inserts so far. */
  async inserts(): Promise<{ count: number; tookMs: number }> {
    const text = await (await fetch(`http://127.0.0.1:${this.#setup.adminPort}/metrics`)).text();
    const read = (name: string) => Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
    return {
      count: read('parley_sink_insert_seconds_count'),
      tookMs: read('parley_sink_insert_seconds_sum') * 1_000,
    };
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
    await this.#producer.close();
  }

  #send(n: number): Promise<void> {
    const outcome = outcomeNumber(n, Date.now());
    return this.#producer.send({
      topic: topicNames(this.#setup.prefix).enriched,
      partition: outcomePartition(outcome.source.partition, this.#setup.partitions),
      key: conversationKey(outcome.tenant_id, outcome.bot_id, outcome.conversation_id),
      value: this.#codec.encodeOutcome(outcome),
      headers: outcomeHeaders(outcome),
    });
  }

  async #ready(): Promise<void> {
    const url = `http://127.0.0.1:${this.#setup.adminPort}/readyz`;
    for (const deadline = performance.now() + 60_000; performance.now() < deadline; ) {
      if (this.#child.exitCode !== null) throw new Error(`the sink ended with ${this.#child.exitCode}`);
      const response = await fetch(url).catch(() => undefined);
      if (response?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error('the sink was not ready within a minute');
  }
}
