import type { ChatEvent, ChatOutcome } from '../../core/records.ts';
import { isolation, stack } from '../../local/testing/stack.ts';
import { ChatCodec } from '../../platform/avro/codec.ts';
import { openRegistry } from '../../platform/avro/registry-access.ts';
import type { Kafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../../platform/kafka/produce/batch-producer.ts';
import { ensureTopics, type TopicNames, topicNames } from '../../platform/kafka/topics.ts';
import { Metrics } from '../../platform/metrics.ts';
import { sampleEvent } from '../../platform/testing/sample-event.ts';
import { ScriptedNlp } from '../../platform/testing/scripted-nlp.ts';
import { TopicLog, testLog } from '../../platform/testing/topic-log.ts';

export const PARTITIONS = 4;

/** Topics and an NLP API of one test's own. */
export interface Bench {
  readonly env: Record<string, string>;
  readonly topics: TopicNames;
  readonly codec: ChatCodec;
  readonly producer: BatchProducer;
  readonly enriched: TopicLog;
  readonly dlq: TopicLog;
  readonly replay: TopicLog;
  readonly nlp: ScriptedNlp;
}

/** A call for each message, though all have the same text: these tests count calls. */
const EACH_ALONE = { NLP_BATCH: 'off', NLP_CACHE_BYTES: '0' };

const benches: Bench[] = [];

export async function openBench(kafka: Kafka, name: string): Promise<Bench> {
  const names = isolation(name);
  const topics = topicNames(names.TOPIC_PREFIX);
  await ensureTopics(kafka, { prefix: names.TOPIC_PREFIX, partitions: PARTITIONS, replicationFactor: 1 });
  const nlp = await ScriptedNlp.start();
  const made: Bench = {
    topics,
    nlp,
    env: {
      ...names,
      ...EACH_ALONE,
      NLP_URL: nlp.url,
      TOPIC_PARTITIONS: String(PARTITIONS),
      GROUP_SESSION_TIMEOUT_MS: '6000',
    },
    codec: await ChatCodec.connect({ registry: openRegistry(stack().registryUrl), topicNames: topics }),
    producer: await BatchProducer.connect(kafka, { log: testLog(), metrics: new Metrics('test') }),
    enriched: await TopicLog.follow(kafka, topics.enriched),
    dlq: await TopicLog.follow(kafka, topics.dlq),
    replay: await TopicLog.follow(kafka, topics.replay),
  };
  benches.push(made);
  return made;
}

export async function closeBenches(): Promise<void> {
  for (const { producer, enriched, dlq, replay, nlp } of benches.splice(0)) {
    await Promise.all([producer.close(), enriched.close(), dlq.close(), replay.close()]);
    await nlp.close();
  }
}

export const produce = ({ producer, topics, codec }: Bench, partition: number, event: Partial<ChatEvent>) =>
  producer.send({ topic: topics.events, partition, key: 'k', value: codec.encodeEvent(sampleEvent(event)) });

/** Everything on chat.enriched, in each partition's order. */
export async function answersOf({ enriched, codec }: Bench): Promise<ChatOutcome[]> {
  const decoded = await Promise.all(enriched.records.map(({ value }) => codec.decodeOutcome(value)));
  return decoded.map((each) => {
    if (!each.ok) throw new Error(`an outcome does not decode: ${each.detail}`);
    return each.value;
  });
}

/** Final outcomes: early answers come besides them. */
export const outcomesOf = async (at: Bench): Promise<ChatOutcome[]> =>
  (await answersOf(at)).filter(({ provisional }) => !provisional);
