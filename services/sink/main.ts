import { systemClock } from '../core/clock.ts';
import { readConfig } from '../core/config.ts';
import { isParleyError, messageOf } from '../core/errors.ts';
import { ChatCodec } from '../platform/avro/codec.ts';
import { registryAccess } from '../platform/avro/registry-access.ts';
import { createClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { assertDedupWindows, neededBlocks, widenDedupWindows } from '../platform/clickhouse/dedup-windows.ts';
import { migrate } from '../platform/clickhouse/migrations.ts';
import { kafkaConnection } from '../platform/kafka/connection.ts';
import { GroupConsumer } from '../platform/kafka/consume/group-consumer.ts';
import { createKafka } from '../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../platform/kafka/produce/batch-producer.ts';
import { ClusterView } from '../platform/kafka/read/cluster-view.ts';
import { ensureTopics, groupNames, topicNames, topicOptions } from '../platform/kafka/topics.ts';
import { runService, type ServiceContext } from '../platform/lifecycle.ts';
import { startStep } from '../platform/start-step.ts';
import { exportStuck, stuckCheck } from '../platform/stuck-places.ts';
import { startTracing } from '../platform/tracing/tracing.ts';
import { MemoryBudget } from './block-buffer.ts';
import { blockGapMsFor, Cadence, fetchWaitMsFor } from './cadence.ts';
import { SINK_SPEC } from './config.ts';
import { FactStore } from './fact-store.ts';
import { InsertSlots } from './insert-slots.ts';
import { openPartition } from './open-partition.ts';
import type { PartitionSink } from './partition-sink.ts';
import { keepRetention } from './retention.ts';
import type { SinkDeps } from './sink-deps.ts';
import { SinkLayout } from './sink-layout.ts';
import { createSinkMetrics } from './sink-metrics.ts';

async function start({ env, log, metrics, instance, fail }: ServiceContext) {
  const config = readConfig(SINK_SPEC, env);
  const names = topicNames(config.TOPIC_PREFIX);
  const clickhouse = createClickHouse({
    url: config.CLICKHOUSE_URL,
    database: config.CLICKHOUSE_DATABASE,
    username: config.CLICKHOUSE_USER,
    password: config.CLICKHOUSE_PASSWORD,
    cluster: config.CLICKHOUSE_CLUSTER,
    requestTimeoutMs: config.SINK_CLICKHOUSE_TIMEOUT_MS,
    log,
  });
  const fetchWaitMs = fetchWaitMsFor(config.SINK_MIN_AGE_MS);
  const ages = { minAgeMs: config.SINK_MIN_AGE_MS, maxAgeMs: config.SINK_MAX_AGE_MS };
  await startStep(log, 'migrations of ClickHouse', migrate(clickhouse, { log }));
  const retention = {
    messageKeys: config.MESSAGE_KEYS_DAYS,
    facts: config.FACTS_TTL_DAYS,
    minutes: config.MINUTES_TTL_DAYS,
  };
  await startStep(log, 'retention of tables', keepRetention(clickhouse, retention));

  const kafka = createKafka({ ...kafkaConnection(config), clientId: instance, log });
  const view = await startStep(log, 'Kafka', ClusterView.connect(kafka, config.KAFKA_BROKERS));
  const { enrichedPartitions } = await startStep(log, 'topics', ensureTopics(kafka, { ...topicOptions(config), log }));
  const widen = async (partitions: number) => {
    const blocks = neededBlocks({ partitions, gapMs: blockGapMsFor(ages.minAgeMs) });
    await widenDedupWindows(clickhouse, blocks);
    await assertDedupWindows(clickhouse, blocks);
  };
  await startStep(log, 'deduplication windows', widen(enrichedPartitions));
  const codec = await startStep(
    log,
    'schemas',
    ChatCodec.connect({ registry: registryAccess(config), topicNames: names }),
  );
  const producer = await startStep(log, 'producer', BatchProducer.connect(kafka, { log, metrics }));
  const groupId = groupNames(config.TOPIC_PREFIX).sink;
  const layoutOf = (partitions: number) =>
    new SinkLayout({ kafka: view, topic: names.enriched, group: groupId, partitions });
  const tracer = await startTracing({ env, service: 'sink', instance, log, metrics });

  const open = new Set<PartitionSink>();
  const held = () => {
    for (const sink of open) if (sink.isReleased) open.delete(sink);
    return [...open];
  };
  const stuck = () => held().flatMap((sink) => sink.stuck ?? []);
  exportStuck(metrics, stuck);
  const budget = new MemoryBudget(config.SINK_TOTAL_BUFFER_BYTES);
  let deps: SinkDeps = {
    store: new FactStore(clickhouse, systemClock),
    decode: (value: Buffer | null) => codec.decodeOutcome(value),
    layout: layoutOf(enrichedPartitions),
    produce: producer.send.bind(producer),
    dlqTopic: names.dlq,
    slots: new InsertSlots(config.SINK_CONCURRENT_BLOCKS),
    budget,
    cadence: new Cadence(ages, () => held().filter(({ isBusy }) => isBusy).length),
    limits: {
      blockRows: config.SINK_BLOCK_ROWS,
      blockBytes: config.SINK_BLOCK_BYTES,
      buffer: { maxRecords: config.SINK_BUFFER_ROWS, maxBytes: config.SINK_BUFFER_BYTES, fetchWaitMs },
      duplicateWindowMs: config.SINK_DUPLICATE_WINDOW_MS,
    },
    clock: systemClock,
    tracing: tracer && { tracer, group: groupId },
    log,
    metrics: createSinkMetrics(metrics, {
      bufferedRecords: () => held().reduce((sum, { buffer }) => sum + buffer.length, 0),
      bufferedBytes: () => budget.bytes,
      oldestAgeMs: () =>
        systemClock.monotonicMs() -
        Math.min(systemClock.monotonicMs(), ...held().flatMap(({ buffer }) => buffer.oldestAtMs ?? [])),
      lagByPartition: () => new Map(held().map(({ partition, lag }) => [partition, lag])),
    }),
    fail,
  };
  const consumer = await startStep(
    log,
    'consumer group',
    GroupConsumer.start({
      kafka,
      groupId,
      topics: [names.enriched],
      log,
      metrics,
      sessionTimeoutMs: config.SINK_SESSION_TIMEOUT_MS,
      // A block waits for a second or more: a fetch for each batch of the enrichers' would cost more than decoding them.
      minBytes: 1 << 20,
      maxWaitMs: fetchWaitMs,
      fail,
      assign: async (claim) => {
        const sink = await openPartition(claim, deps);
        open.add(sink);
        return sink;
      },
    }),
  );
  /** Partitions that are open keep the layout that they were opened by: they are given up, and opened by the new one. */
  const grow = async (partitions: number) => {
    const fields = { code: 'TOPIC_GREW', topic: names.enriched, from: deps.layout.partitions, to: partitions };
    log.warn(fields, 'the topic has more partitions: all are opened anew');
    try {
      await widen(partitions);
    } catch (error) {
      if (isParleyError(error) && error.code === 'CLICKHOUSE_SCHEMA') throw error;
      // ClickHouse is away, and nothing goes in meanwhile: the growth is seen again at the next look.
      log.warn({ ...fields, err: messageOf(error) }, 'the deduplication windows cannot be widened yet');
      unwatch = deps.layout.watch(onGrowth);
      return;
    }
    deps = { ...deps, layout: layoutOf(partitions) };
    unwatch = deps.layout.watch(onGrowth);
    await consumer.renew(`${names.enriched} has ${partitions} partitions`);
  };
  const onGrowth = (partitions: number) => void grow(partitions).catch(fail);
  let unwatch = deps.layout.watch(onGrowth);
  return {
    checks: { kafka: consumer.check, records: stuckCheck(stuck), clickhouse: clickhouse.check },
    // Asked for schemas that are new alone: where one is needed that it cannot give, the records do not go on.
    advisory: { registry: codec.check },
    stop: async () => {
      unwatch();
      await consumer.close();
      await view.close();
      await producer.close();
      await clickhouse.close();
      await tracer?.close();
    },
  };
}

await runService({ name: 'sink', env: process.env, adminPort: 9482, drainTimeoutMs: 20_000, start });
