import { systemClock } from '../core/clock.ts';
import { ChatCodec } from '../platform/avro/codec.ts';
import { registryAccess } from '../platform/avro/registry-access.ts';
import { kafkaConnection } from '../platform/kafka/connection.ts';
import { GroupConsumer } from '../platform/kafka/consume/group-consumer.ts';
import { createKafka } from '../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../platform/kafka/produce/batch-producer.ts';
import { ensureTopics, groupNames, topicNames, topicOptions } from '../platform/kafka/topics.ts';
import { type RunningService, runService, type ServiceContext } from '../platform/lifecycle.ts';
import { startStep } from '../platform/start-step.ts';
import { startTracing } from '../platform/tracing/tracing.ts';
import { connectNlp } from './analyse/connect.ts';
import {
  DRAIN_TIMEOUT_MS,
  IN_FLIGHT_FACTOR,
  MAX_FETCH_BYTES,
  MAX_FETCH_BYTES_IN_ALL,
  readEnricherConfig,
} from './config.ts';
import { Enricher } from './enricher.ts';
import { enricherMetrics, registerGauges } from './metrics.ts';
import { connectOutage } from './outage/connect.ts';
import { LetterWatch } from './outage/letter-watch.ts';
import { OutcomeEmitter } from './outcome-emitter.ts';
import { RecordProcessor } from './record-processor.ts';

await runService({ name: 'enricher', env: process.env, adminPort: 9481, drainTimeoutMs: DRAIN_TIMEOUT_MS, start });

async function start(context: ServiceContext): Promise<RunningService> {
  const config = readEnricherConfig(context.env);
  const { log, metrics: registry, instance } = context;
  const metrics = enricherMetrics(registry);
  const kafka = createKafka({ ...kafkaConnection(config), clientId: instance, log });
  const topics = topicNames(config.TOPIC_PREFIX);
  const { enrichedPartitions } = await startStep(log, 'topics', ensureTopics(kafka, { ...topicOptions(config), log }));
  const codec = await startStep(
    log,
    'schemas',
    ChatCodec.connect({ registry: registryAccess(config), topicNames: topics }),
  );
  const producer = await startStep(log, 'producer', BatchProducer.connect(kafka, { log, metrics: registry }));
  const tracer = await startTracing({ env: context.env, service: 'enricher', instance, log, metrics: registry });
  const groupId = groupNames(config.TOPIC_PREFIX).enricher;
  const schedule = () => enricher.schedule();
  const nlp = connectNlp({
    config,
    log,
    registry,
    metrics,
    env: context.env,
    tracer,
    onOpen: schedule,
    onRelease: schedule,
  });
  const emitter = new OutcomeEmitter({
    codec,
    producer,
    topics,
    enrichedPartitions,
    metrics,
    clock: systemClock,
    log,
    tracer,
  });
  const outage = connectOutage({ config, emitter, metrics, log, onCalm: schedule });
  const processor = new RecordProcessor({
    codec,
    analyser: nlp.analyser,
    emitter,
    ...outage,
    replayTopic: topics.replay,
    onOutage: config.ON_NLP_OUTAGE,
    clock: systemClock,
    log,
  });
  const maxInFlight = config.NLP_CONCURRENCY * IN_FLIGHT_FACTOR;
  const room = (): number => {
    if (outage.storm.isFull) return 0;
    const degrades = config.ON_NLP_OUTAGE === 'degrade';
    if (nlp.gate.isOpen) return degrades && nlp.policy.calls.rate.isLasting ? maxInFlight : nlp.room();
    // While the API is down: all are degraded, or one record at a time probes it.
    return degrades ? maxInFlight : enricher.inFlight === 0 ? 1 : 0;
  };
  const enricher = new Enricher({
    processor,
    maxInFlight,
    replayTopic: topics.replay,
    maxReplayInFlight: Math.max(1, Math.floor(maxInFlight * config.REPLAY_SHARE)),
    commitIntervalMs: config.KAFKA_COMMIT_INTERVAL_MS,
    room,
    metrics,
    log,
    tracing: tracer && { tracer, group: groupId },
  });
  registerGauges(registry, {
    inFlight: () => enricher.inFlight,
    queued: () => enricher.queued,
    queuedBytes: () => enricher.queuedBytes,
    nlpInFlight: () => nlp.policy.calls.inFlight,
    nlpWaiting: () => nlp.policy.calls.waiting,
    nlpLimit: () => nlp.policy.calls.concurrency,
    nlpRate: () => nlp.policy.calls.rate.perS,
    nlpHeldBack: () => nlp.policy.calls.rate.heldBack,
    breakerOpen: () => (nlp.policy.state === 'closed' ? 0 : 1),
    oldestUnfinishedMs: () => enricher.oldestUnfinishedMs,
    aheadOfWatermark: () => enricher.completedAhead,
    fallbackWaiting: () => outage.fallback.waiting,
    stormTripped: () => (outage.storm.state === 'storm' ? 1 : 0),
    stormHeld: () => outage.storm.held,
  });
  enricher.stuck.export(registry);
  await outage.prepare();
  const letters = await startStep(
    log,
    'dead letters',
    LetterWatch.start({ kafka, topic: topics.dlq, log, guard: outage.storm }),
  );
  const consumer = await startStep(
    log,
    'consumer group',
    GroupConsumer.start({
      kafka,
      groupId,
      topics: [topics.events, topics.replay],
      sessionTimeoutMs: config.GROUP_SESSION_TIMEOUT_MS,
      settleMs: config.GROUP_SETTLE_MS,
      maxBytesPerPartition: MAX_FETCH_BYTES,
      maxBytes: MAX_FETCH_BYTES_IN_ALL,
      log,
      metrics: registry,
      fail: context.fail,
      assign: enricher.assign,
    }),
  );
  // Without the API messages are degraded, unless they have to wait for it; the registry is needed for new schemas alone.
  const needsApi = config.ON_NLP_OUTAGE === 'wait';
  return {
    checks: { kafka: consumer.check, records: enricher.stuck.check, ...(needsApi && { nlp: nlp.check }) },
    advisory: { registry: codec.check, ...(!needsApi && { nlp: nlp.check }) },
    routes: outage.routes,
    stop: async () => {
      await consumer.close();
      enricher.stop();
      outage.close();
      await letters?.close();
      await producer.close();
      await nlp.close();
      await tracer?.close();
    },
  };
}
