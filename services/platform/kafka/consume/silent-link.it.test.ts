import { afterAll, expect, it } from '@jest/globals';
import { eventually } from '../../../core/testing/eventually.ts';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { Metrics } from '../../metrics.ts';
import { KafkaProxy } from '../../testing/kafka-proxy.ts';
import { testLog } from '../../testing/topic-log.ts';
import { createKafka } from '../kafkajs/kafka.ts';
import { BatchProducer } from '../produce/batch-producer.ts';
import { ensureTopics, topicNames } from '../topics.ts';
import type { Claim } from './claim.ts';
import { GroupConsumer } from './group-consumer.ts';

const closing: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

it('consumer, producer and commits come back over new connections when the old ones fall silent, though they stay open', async () => {
  const { TOPIC_PREFIX: prefix } = isolation('silent');
  const topic = topicNames(prefix).events;
  const metrics = new Metrics('test');
  const proxy = await KafkaProxy.start(stack().kafkaBrokers);
  closing.push(() => proxy.stop());
  const kafka = createKafka({ brokers: [proxy.address], clientId: 'silent', log: testLog() });
  await ensureTopics(kafka, { prefix, partitions: 1, replicationFactor: 1 });
  const producer = await BatchProducer.connect(kafka, { log: testLog(), metrics });
  closing.push(() => producer.close(1_000));
  const values: string[] = [];
  let claim: Claim | undefined;
  const consumer = await GroupConsumer.start({
    kafka,
    groupId: `${prefix}silent`,
    topics: [topic],
    log: testLog(),
    metrics: new Metrics('test'),
    assign: async (assigned) => {
      claim = assigned;
      return {
        startAt: assigned.committed.offset ?? assigned.logStart,
        take: (records) => values.push(...records.map(({ value }) => String(value))),
        settle: async () => {},
        release: () => {},
      };
    },
  });
  closing.push(() => consumer.close());
  const send = (value: string) => producer.send({ topic, partition: 0, key: null, value: Buffer.from(value) });
  await send('before');
  await eventually(() => expect(values).toEqual(['before']));
  // One request's time-out (5 s) for sends and commits; two for reading, as fetches and heartbeats have a connection each.
  proxy.abandonAll();
  const startedMs = performance.now();
  const sent = send('after').then(() => performance.now() - startedMs);
  const committed = (async () => {
    // A claim that was lost to the silence has a successor.
    await eventually(() => claim?.commit(() => ({ offset: 1, metadata: '' })), { timeoutMs: 45_000 });
    return performance.now() - startedMs;
  })();
  await eventually(() => expect(values).toContain('after'), { timeoutMs: 45_000 });
  const read = performance.now() - startedMs;
  testLog().info({ sent_ms: await sent, committed_ms: await committed, read_ms: read }, 'back after a silence');
  await eventually(async () => expect(await consumer.check(AbortSignal.timeout(1_000))).toEqual({}), {
    timeoutMs: 45_000,
  });
}, 120_000);
