import { Metrics } from '../../../metrics.ts';
import { testLog } from '../../../testing/topic-log.ts';
import { GroupConsumer } from '../../consume/group-consumer.ts';
import { OffsetCommitter } from '../../consume/offset-committer.ts';
import { createKafka, type Kafka } from '../../kafkajs/kafka.ts';
import { BatchProducer } from '../../produce/batch-producer.ts';
import { fetchLogRanges } from '../../read/log-ranges.ts';
import { LogReader } from '../../read/log-reader.ts';
import { scanRecords } from '../../read/record-scan.ts';
import { TailReader } from '../../read/tail-reader.ts';
import { fetchTopicIds } from '../../read/topic-ids.ts';
import { ensureTopics } from '../../topics.ts';
import { KafkaAdmin } from '../kafka-admin.ts';
import type { ContractClient, KafkaAdapter } from './adapter.ts';

const CHECK_MS = 1_000;

/** What the services run on. */
export const parleyAdapter: KafkaAdapter = {
  open: (brokers) => {
    const kafka = createKafka({ brokers, clientId: 'contract', log: testLog() });
    return { ...consuming(kafka), ...reading(kafka), admin: () => KafkaAdmin.connect(kafka) };
  },
};

const parts = () => ({ log: testLog(), metrics: new Metrics('test') });

const consuming = (kafka: Kafka): Pick<ContractClient, 'producer' | 'consumer' | 'commitAs'> => ({
  producer: (options) => BatchProducer.connect(kafka, { ...parts(), ...options }),
  consumer: async ({ topic, ...options }) => {
    const consumer = await GroupConsumer.start({ kafka, topics: [topic], ...parts(), ...options });
    return {
      check: async () => void (await consumer.check(AbortSignal.timeout(CHECK_MS))),
      close: () => consumer.close(),
    };
  },
  commitAs: async ({ groupId, memberId, generationId }, topic, partition, commit) => {
    const committer = await OffsetCommitter.connect({ kafka, groupId });
    const session = { memberId, generationId, assigned: [] };
    await committer
      .commit({ topic, partition, session: () => session, snapshot: () => commit })
      .finally(() => committer.close());
  },
});

const reading = (
  kafka: Kafka,
): Pick<ContractClient, 'pages' | 'follow' | 'logRanges' | 'topicIds' | 'ensureTopics'> => ({
  pages: async function* (topic, partition, start, end) {
    const reader = await LogReader.connect(kafka);
    try {
      yield* reader.pages(topic, partition, start, end);
    } finally {
      await reader.close();
    }
  },
  follow: (topic, since, take) =>
    new TailReader({
      kafka,
      topic,
      since,
      log: testLog(),
      take: (records, from) => scanRecords(records, from, 'tag', ({ value }) => take(String(value))).next,
    }),
  logRanges: (topic) => fetchLogRanges(kafka, topic),
  topicIds: (topics) => fetchTopicIds(kafka, topics),
  ensureTopics: async (options) => (await ensureTopics(kafka, options)).counts,
});
