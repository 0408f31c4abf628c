import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { ChatCodec } from '../platform/avro/codec.ts';
import { openRegistry } from '../platform/avro/registry-access.ts';
import { createKafka, type Kafka } from '../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../platform/kafka/produce/batch-producer.ts';
import { ClusterView } from '../platform/kafka/read/cluster-view.ts';
import { KafkaAdmin } from '../platform/kafka/testing/kafka-admin.ts';
import { ensureTopics, groupNames, topicNames } from '../platform/kafka/topics.ts';
import { Metrics } from '../platform/metrics.ts';
import { sampleEvent } from '../platform/testing/sample-event.ts';
import { TopicLog, testLog } from '../platform/testing/topic-log.ts';

/** What the enricher does with records that Kafka does not take, on the real broker. */

const names = isolation('enricher_refused');
const topics = topicNames(names.TOPIC_PREFIX);
let kafka: Kafka;
let codec: ChatCodec;
let producer: BatchProducer;
let view: ClusterView;
let enricher: ServiceHandle;
const closing: (() => Promise<unknown>)[] = [];

async function setMaxBytes(topic: string, bytes: number): Promise<void> {
  const settings = { 'max.message.bytes': String(bytes) };
  await KafkaAdmin.use(kafka, (admin) => admin.replaceSettings(topic, settings));
}

const produce = (value: Buffer) => producer.send({ topic: topics.events, partition: 0, key: 'k', value });
const committed = async () =>
  (await view.committed(groupNames(names.TOPIC_PREFIX).enricher, topics.events)).get(0) ?? null;
const readiness = async () => (await fetch(`${enricher.adminUrl}/readyz`)).json();

beforeAll(async () => {
  const { kafkaBrokers, registryUrl } = stack();
  kafka = createKafka({ brokers: [kafkaBrokers], clientId: 'enricher-refused', log: testLog() });
  await ensureTopics(kafka, { prefix: names.TOPIC_PREFIX, partitions: 1, replicationFactor: 1 });
  codec = await ChatCodec.connect({ registry: openRegistry(registryUrl), topicNames: topics });
  producer = await BatchProducer.connect(kafka, { log: testLog(), metrics: new Metrics('test') });
  view = await ClusterView.connect(kafka, [kafkaBrokers]);
  const runDir = await mkdtemp(join(tmpdir(), 'parley-refused-'));
  closing.push(
    () => producer.close(),
    () => view.close(),
    () => rm(runDir, { recursive: true, force: true }),
  );
  enricher = await spawnService('enricher', { ...names, TOPIC_PARTITIONS: '1' });
  await enricher.ready();
}, 60_000);

afterAll(async () => {
  await stopServices();
  await Promise.all(closing.map((close) => close()));
});

describe('an enricher whose records are refused', () => {
  it('leaves the bytes out of a dead letter that chat.dlq does not take, and says whose they were', async () => {
    const dlq = await TopicLog.follow(kafka, topics.dlq);
    closing.push(() => dlq.close());
    await setMaxBytes(topics.dlq, 50_000);
    // No event of ours, and nothing that compression makes small.
    await produce(randomBytes(300_000));
    await produce(randomBytes(1_000));
    await eventually(() => expect(dlq.records).toHaveLength(2));
    // The stub comes after a refusal, so the other letter may be before it.
    const [stub, letter] = dlq.records.toSorted((a, b) => (a.value?.length ?? 0) - (b.value?.length ?? 0));
    expect(stub?.value).toBeNull();
    expect(stub?.headers).toMatchObject({
      'dlq-origin-topic': Buffer.from(topics.events),
      'dlq-origin-partition': Buffer.from('0'),
      'dlq-origin-offset': Buffer.from('0'),
      'dlq-stub-length': Buffer.from('300000'),
      'dlq-stub-sha256': expect.objectContaining({ length: 64 }),
    });
    expect(letter?.value).toHaveLength(1_000);
    await eventually(async () => expect(await committed()).toBe(2));
    expect(await readiness()).toMatchObject({ ready: true });
  }, 120_000);

  it('is not ready within seconds when a partition cannot go on, names the record, and recovers by itself', async () => {
    const offset = await committed();
    await setMaxBytes(topics.enriched, 200);
    await produce(codec.encodeEvent(sampleEvent({ message_id: 'stuck', text: 'Where is my parcel?' })));
    await eventually(
      async () =>
        expect(await readiness()).toMatchObject({
          ready: false,
          dependencies: {
            records: {
              state: 'down',
              error: expect.stringMatching(
                new RegExp(`^${topics.events}/0 cannot go on: offset ${offset} failed \\d+ times`),
              ),
            },
          },
        }),
      { timeoutMs: 60_000 },
    );
    const metrics = await (await fetch(`${enricher.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(
      new RegExp(`parley_partition_stuck_offset\\{[^}]*code="MESSAGE_TOO_LARGE"[^}]*\\} ${offset}\\n`),
    );
    await setMaxBytes(topics.enriched, 1_000_000);
    await eventually(async () => expect(await readiness()).toMatchObject({ ready: true }), { timeoutMs: 60_000 });
    await eventually(async () => expect(await committed()).toBe((offset ?? 0) + 1));
  }, 150_000);
});
