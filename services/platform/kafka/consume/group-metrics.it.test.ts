import { afterAll, expect, it } from '@jest/globals';
import { eventually } from '../../../core/testing/eventually.ts';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { Metrics } from '../../metrics.ts';
import { testLog } from '../../testing/topic-log.ts';
import { createKafka } from '../kafkajs/kafka.ts';
import { sendTransactions, sendUnreadable } from '../testing/contract/foreign-producers.ts';
import { KafkaAdmin } from '../testing/kafka-admin.ts';
import type { Claim } from './claim.ts';
import { GroupConsumer } from './group-consumer.ts';

let consumer: GroupConsumer | undefined;

afterAll(() => consumer?.close());

it('the metrics of a group tell of what cannot be read, of what is stopped, and of no lag where only markers follow', async () => {
  const kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'group-metrics', log: testLog() });
  const topic = `${isolation('group_metrics').TOPIC_PREFIX}topic`;
  const groupId = `${topic}.reader`;
  await KafkaAdmin.use(kafka, async (admin) => {
    await admin.createTopics([{ topic, partitions: 4 }]);
    await admin.resetOffsets(groupId, topic, new Map([[3, 1_000]]));
  });
  // In partition 0: a record, a batch of forty, a record; then a record, its marker, one that is aborted, its marker.
  await sendUnreadable(stack().kafkaBrokers, topic);
  await sendTransactions(stack().kafkaBrokers, topic);
  const metrics = new Metrics('test');
  const claims = new Map<number, { claim: Claim; next: number }>();
  consumer = await GroupConsumer.start({
    kafka,
    groupId,
    topics: [topic],
    log: testLog(),
    metrics,
    assign: async (claim) => {
      const held = { claim, next: 0 };
      claims.set(claim.partition, held);
      const reach = (next: number) => {
        held.next = next;
      };
      return {
        startAt: claim.committed.offset ?? claim.logStart,
        take: (records) => reach((records.at(-1)?.offset ?? -1) + 1),
        readTo: reach,
        cutTo: reach,
        settle: async () => {},
        release: () => {},
      };
    },
  });
  await eventually(() => expect([0, 1, 2].map((partition) => claims.get(partition)?.next)).toEqual([46, 1, 0]));
  for (const { claim, next } of claims.values()) await claim.commit(() => ({ offset: next, metadata: '' }));
  const read = (name: string) => metrics.registry.getSingleMetricAsString(name);
  expect(await read('parley_unreadable_batches_total')).toMatch(/gzip.* 1$/m);
  expect(await read('parley_partition_stopped')).toMatch(/partition="3".* 1$/m);
  const lag = await metrics.registry.getSingleMetric('kafka_consumergroup_lag')?.get();
  expect(lag?.values.map(({ value }) => value)).toEqual([0, 0, 0]);
});
