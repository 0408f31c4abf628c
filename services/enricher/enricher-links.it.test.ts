import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import avro from 'avsc';
import type { ChatOutcome } from '../core/records.ts';
import { eventually } from '../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { ChatCodec } from '../platform/avro/codec.ts';
import { openRegistry } from '../platform/avro/registry-access.ts';
import { RegistryClient } from '../platform/avro/registry-client.ts';
import { EVENT_SCHEMA } from '../platform/avro/schema-files.ts';
import { createKafka, type Kafka } from '../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../platform/kafka/produce/batch-producer.ts';
import { ClusterView } from '../platform/kafka/read/cluster-view.ts';
import { ensureTopics, groupNames, topicNames } from '../platform/kafka/topics.ts';
import { Metrics } from '../platform/metrics.ts';
import { FaultyLink } from '../platform/testing/faulty-link.ts';
import { KafkaProxy, OFFSET_COMMIT_API_KEY } from '../platform/testing/kafka-proxy.ts';
import { sampleEvent } from '../platform/testing/sample-event.ts';
import { TopicLog, testLog } from '../platform/testing/topic-log.ts';
import { IN_FLIGHT_FACTOR, MAX_QUEUED } from './config.ts';

const PARTITIONS = 4;
/** Node itself, the queues at their bounds, and what the collector has not come to yet. */
const RESIDENT_BOUND_BYTES = 450 << 20;
const names = isolation('enricher_links');
const topics = topicNames(names.TOPIC_PREFIX);
const group = groupNames(names.TOPIC_PREFIX).enricher;

let kafka: Kafka;
let codec: ChatCodec;
let producer: BatchProducer;
let view: ClusterView;
let enriched: TopicLog;
let dlq: TopicLog;
let nlp: FaultyLink;
let registry: FaultyLink;
let broker: KafkaProxy;
let enricher: ServiceHandle;
let sent = 0;

const through = (url: string, link: FaultyLink) => url.replace(new URL(url).host, link.address);

const spawnEnricher = (env: Record<string, string> = {}) =>
  spawnService('enricher', {
    ...names,
    TOPIC_PARTITIONS: String(PARTITIONS),
    KAFKA_BROKERS: broker.address,
    NLP_URL: through(stack().nlpUrl, nlp),
    SCHEMA_REGISTRY_URL: through(stack().registryUrl, registry),
    GROUP_SESSION_TIMEOUT_MS: '6000',
    ON_NLP_OUTAGE: 'wait',
    NLP_TIMEOUT_MS: '500',
    NLP_HALF_OPEN_AFTER_MS: '700',
    NLP_BACKOFF_CAP_MS: '200',
    NLP_BREAKER_WINDOW_MS: '1000',
    ...env,
  });

const committed = () => view.committed(group, topics.events);

const isFinal = ({ headers }: { headers: Readonly<Record<string, Buffer | undefined>> }) =>
  headers['parley-outcome']?.toString() !== 'provisional';

/** Records that have a final outcome, whether or not a crash repeated it. */
const sourcesDone = () =>
  new Set(enriched.records.filter(isFinal).map(({ headers }) => headers['parley-source']?.toString())).size;

/** Reads single values out of a `/metrics` text. */
const metricsOf = (text: string) => (name: string) =>
  Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]);

const produce = (partition: number, value: Buffer) => {
  sent++;
  return producer.send({ topic: topics.events, partition, key: 'k', value });
};

const produceNew = (count: number) =>
  Promise.all(
    Array.from({ length: count }, (_, n) =>
      produce(
        n % PARTITIONS,
        codec.encodeEvent(sampleEvent({ message_id: `m${sent}`, text: `Where is parcel ${sent}?` })),
      ),
    ),
  );

/** Each record that was sent has its outcome, once, and none is a dead letter. */
async function expectAllEnrichedOnce(): Promise<readonly ChatOutcome[]> {
  return await eventually(
    async () => {
      // Early answers may stand beside these.
      const finals = enriched.records.filter(isFinal);
      expect(finals.length).toBeGreaterThanOrEqual(sent);
      const decoded = await Promise.all(finals.map(({ value }) => codec.decodeOutcome(value)));
      const outcomes = decoded.flatMap((each) => (each.ok ? [each.value] : []));
      const sources = outcomes.map(({ source }) => `${source.partition}/${source.offset}`);
      expect([outcomes.length, new Set(sources).size]).toEqual([sent, sent]);
      expect(outcomes.filter(({ outcome }) => outcome !== 'enriched')).toEqual([]);
      expect(dlq.records).toEqual([]);
      return outcomes;
    },
    { timeoutMs: 50_000 },
  );
}

beforeAll(async () => {
  const { kafkaBrokers, registryUrl, nlpUrl } = stack();
  kafka = createKafka({ brokers: [kafkaBrokers], clientId: 'enricher-links', log: testLog() });
  await ensureTopics(kafka, { prefix: names.TOPIC_PREFIX, partitions: PARTITIONS, replicationFactor: 1 });
  codec = await ChatCodec.connect({ registry: openRegistry(registryUrl), topicNames: topics });
  producer = await BatchProducer.connect(kafka, { log: testLog(), metrics: new Metrics('test') });
  view = await ClusterView.connect(kafka, [kafkaBrokers]);
  [enriched, dlq] = [await TopicLog.follow(kafka, topics.enriched), await TopicLog.follow(kafka, topics.dlq)];
  nlp = await FaultyLink.start(new URL(nlpUrl).host);
  registry = await FaultyLink.start(new URL(registryUrl).host);
  broker = await KafkaProxy.start(kafkaBrokers);
  registry.cut();
  enricher = await spawnEnricher();
}, 60_000);

afterAll(async () => {
  await stopServices();
  await Promise.all([producer.close(), view.close(), enriched.close(), dlq.close()]);
  await Promise.all([nlp.stop(), registry.stop(), broker.stop()]);
});

describe('an enricher behind a faulty network', () => {
  it('waits at its start for a registry that is cut off', async () => {
    await produceNew(40);
    await eventually(() => expect(registry.tried).toBeGreaterThanOrEqual(3));
    expect(enriched.records).toEqual([]);
    registry.open();
    await enricher.ready();
    await expectAllEnrichedOnce();
  });

  it('holds a record of an unknown schema while the registry is silent, and takes none for poison', async () => {
    const schema = JSON.parse(EVENT_SCHEMA.json) as { fields: object[] };
    const fields = [...schema.fields, { name: 'mood', type: ['null', 'string'], default: null }];
    const newer = {
      json: JSON.stringify({ ...schema, fields }),
      type: avro.Type.forSchema({ ...schema, fields } as never),
    };
    const id = await new RegistryClient(openRegistry(stack().registryUrl)).idOf(`${topics.events}-value`, newer);
    const head = Buffer.alloc(5);
    head.writeInt32BE(id, 1);
    const event = { ...sampleEvent({ message_id: 'newer' }), metadata: {}, mood: 'fine' };
    // This connection stays silent for good, as one does whose other end is gone.
    const lost = registry.loseAnswer((request) => request.includes(`/schemas/ids/${id}`), 'silence');
    const before = sourcesDone();
    await produce(0, Buffer.concat([head, newer.type.toBuffer(event)]));
    await lost;
    registry.silence();
    await produceNew(40);
    // The others go on, and the one waits.
    await eventually(() => expect(sourcesDone()).toBe(before + 40));
    registry.open();
    const outcomes = await expectAllEnrichedOnce();
    expect(outcomes.map(({ message_id }) => message_id)).toContain('newer');
  });

  it('waits for an NLP API that accepts and stays silent, and gives up none of its messages', async () => {
    nlp.silence();
    await produceNew(200);
    await eventually(async () =>
      expect(await (await fetch(`${enricher.adminUrl}/readyz`)).json()).toMatchObject({
        ready: false,
        dependencies: { nlp: { state: 'down' } },
      }),
    );
    nlp.open();
    await expectAllEnrichedOnce();
  });

  it('repeats nothing when Kafka took a commit and the answer was lost', async () => {
    let lost = 0;
    broker.rule = ({ apiKey }) => (apiKey === OFFSET_COMMIT_API_KEY && ++lost <= 3 ? 'cut' : 'pass');
    await produceNew(200);
    await eventually(() => expect(lost).toBeGreaterThan(3));
    await produceNew(40);
    await expectAllEnrichedOnce();
    const ends = new Map((await view.logRanges(topics.events)).map(({ partition, end }) => [partition, end]));
    await eventually(async () => expect(await committed()).toEqual(ends));
    // What was committed is what a successor begins with: it finds nothing to do.
    await enricher.kill('SIGKILL');
    const heir = await spawnEnricher();
    await heir.ready();
    await produceNew(40);
    await expectAllEnrichedOnce();
    await heir.kill('SIGTERM');
  });

  it('bounds what it holds while the NLP API hangs, and delivers all of it afterwards', async () => {
    const service = await spawnEnricher({ NLP_CONCURRENCY: '100', NLP_INITIAL_CONCURRENCY: '100' });
    await service.ready();
    nlp.silence();
    await produceNew(7_000);
    const held = await eventually(async () => {
      const metric = metricsOf(await (await fetch(`${service.adminUrl}/metrics`)).text());
      // All that may be started is, and fetching has paused at its own bound.
      expect(metric('parley_records_in_flight')).toBeGreaterThan(0);
      expect(metric('parley_records_queued')).toBeGreaterThan(MAX_QUEUED.live.records * 0.75);
      return metric;
    });
    expect(held('parley_records_in_flight')).toBeLessThanOrEqual(IN_FLIGHT_FACTOR * 100);
    expect(held('parley_records_queued')).toBeLessThanOrEqual(MAX_QUEUED.live.records);
    expect(held('parley_records_queued_bytes')).toBeLessThan(MAX_QUEUED.live.bytes);
    expect(held('process_resident_memory_bytes')).toBeLessThan(RESIDENT_BOUND_BYTES);
    nlp.open();
    await expectAllEnrichedOnce();
    await service.kill('SIGTERM');
  });

  it('that was stopped past its session, and wakes after another took over, changes nothing', async () => {
    const zombie = await spawnEnricher();
    await zombie.ready();
    await produceNew(40);
    await expectAllEnrichedOnce();
    nlp.delayMs = 2_000;
    await produceNew(200);
    await eventually(async () => {
      const metric = metricsOf(await (await fetch(`${zombie.adminUrl}/metrics`)).text());
      expect(metric('parley_records_in_flight')).toBeGreaterThan(0);
    });
    zombie.signal('SIGSTOP');
    nlp.open();
    const heir = await spawnEnricher();
    await heir.ready();
    await eventually(() => expect(sourcesDone()).toBe(sent), { timeoutMs: 45_000 });
    const ends = await eventually(async () => {
      const found = await committed();
      expect([...found.values()].reduce((sum, offset) => sum + offset, 0)).toBe(sent);
      return found;
    });
    zombie.signal('SIGCONT');
    // It is back in the group once it shares the partitions again; by then it has done whatever it was about to do.
    await eventually(async () => expect((await fetch(`${zombie.adminUrl}/readyz`)).status).toBe(200), {
      timeoutMs: 45_000,
    });
    expect(await committed()).toEqual(ends);
    await produceNew(100);
    await eventually(() => expect(sourcesDone()).toBe(sent));
    expect(dlq.records).toEqual([]);
    await Promise.all([zombie.kill('SIGTERM'), heir.kill('SIGTERM')]);
  }, 120_000);
});
