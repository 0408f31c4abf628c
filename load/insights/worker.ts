import { ChatCodec } from '../../services/platform/avro/codec.ts';
import { openRegistry } from '../../services/platform/avro/registry-access.ts';
import { GroupConsumer } from '../../services/platform/kafka/consume/group-consumer.ts';
import { createKafka, type Kafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../../services/platform/kafka/produce/batch-producer.ts';
import { scanRecords } from '../../services/platform/kafka/read/record-scan.ts';
import { TailReader } from '../../services/platform/kafka/read/tail-reader.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { Metrics } from '../../services/platform/metrics.ts';
import { outcomeHeaders, REPLY_TO_HEADER } from '../../services/platform/record-headers.ts';
import { sampleOutcome, sessionOf } from './sample.ts';

/** What one process of the measurement does; the orchestrator ends it and takes its figures. */
export interface Role {
  readonly kind: 'produce' | 'produce-both' | 'scan' | 'decode' | 'slim';
  readonly brokers: string;
  readonly registryUrl: string;
  readonly prefix: string;
  readonly outcomesTopic: string;
  readonly slimTopic: string;
  readonly partitions: number;
  readonly workers: number;
  readonly perSecond: number;
}

export interface Figures {
  readonly records: number;
  readonly cpuMicros: number;
}

interface Running {
  readonly count: () => number;
  stop(): Promise<void>;
}

const SLICE_MS = 20;
const log = createLogger('insights-bench', 'silent');

async function produce(kafka: Kafka, codec: ChatCodec, role: Role): Promise<Running> {
  const producer = await BatchProducer.connect(kafka, { log, metrics: new Metrics('bench') });
  let sent = 0;
  let due = 0;
  const timer = setInterval(() => {
    due += (role.perSecond * SLICE_MS) / 1_000;
    for (; sent < due; sent++) {
      const outcome = sampleOutcome(sent);
      const session = sessionOf(sent);
      const [key, partition] = [JSON.stringify([outcome.tenant_id, outcome.bot_id, outcome.conversation_id]), sent];
      void producer.send({
        topic: role.outcomesTopic,
        partition: partition % role.partitions,
        key,
        value: codec.encodeOutcome(outcome),
        headers: { ...outcomeHeaders(outcome), [REPLY_TO_HEADER]: session },
      });
      if (role.kind === 'produce') continue;
      void producer.send({
        topic: role.slimTopic,
        partition: sent % role.workers,
        key: session,
        value: Buffer.from(JSON.stringify({ type: 'insight', id: outcome.message_id, insight: outcome.insight })),
      });
    }
  }, SLICE_MS);
  return {
    count: () => sent,
    stop: async () => {
      clearInterval(timer);
      await producer.close();
    },
  };
}

/** Follows the whole topic, looks at headers, decodes what is for this one of `workers`. */
function scan(kafka: Kafka, codec: ChatCodec, { outcomesTopic: topic, workers }: Role): Running {
  let seen = 0;
  const tail = new TailReader({
    kafka,
    topic,
    since: Date.now(),
    log,
    take: (set, from) => {
      const result = scanRecords(set, from, REPLY_TO_HEADER, ({ header, value }) => {
        if ((header[0] ?? 0) % workers === 0) JSON.stringify(codec.decodeOutcome(value));
      });
      seen += result.records;
      return result.next;
    },
  });
  return { count: () => seen, stop: () => tail.close() };
}

/** The same over a consumer group of kafkajs, which decodes every record's frame. */
async function decode(kafka: Kafka, codec: ChatCodec, { outcomesTopic: topic, workers }: Role): Promise<Running> {
  let seen = 0;
  const consumer = await GroupConsumer.start({
    kafka,
    groupId: `${topic}.bench-${process.pid}`,
    topics: [topic],
    log,
    metrics: new Metrics('bench'),
    assign: async ({ logEnd }) => ({
      startAt: logEnd,
      take: (records) => {
        for (const { headers, value } of records) {
          const header = headers[REPLY_TO_HEADER];
          if (header && (header[0] ?? 0) % workers === 0) JSON.stringify(codec.decodeOutcome(value));
        }
        seen += records.length;
      },
      settle: async () => {},
      release: () => {},
    }),
  });
  return { count: () => seen, stop: () => consumer.close() };
}

/** Reads the slim topic: of its partitions one is this worker's, and all in it is for its sockets. */
function slim(kafka: Kafka, { slimTopic: topic }: Role): Running {
  let seen = 0;
  const tail = new TailReader({
    kafka,
    topic,
    since: Date.now(),
    log,
    take: (set, from) => {
      const result = scanRecords(set, from, '', () => {});
      seen += result.records;
      return result.next;
    },
  });
  return { count: () => seen, stop: () => tail.close() };
}

async function start(role: Role): Promise<Running> {
  const kafka = createKafka({ brokers: role.brokers.split(','), clientId: `bench-${role.kind}`, log });
  const topicNames = { events: `${role.prefix}events`, enriched: role.outcomesTopic };
  const codec = await ChatCodec.connect({ registry: openRegistry(role.registryUrl), topicNames });
  if (role.kind === 'scan') return scan(kafka, codec, role);
  if (role.kind === 'decode') return await decode(kafka, codec, role);
  return role.kind === 'slim' ? slim(kafka, role) : await produce(kafka, codec, role);
}

let running: Running | undefined;
let from = { cpu: process.cpuUsage(), count: 0 };
process.on('message', async (command: Role | 'mark' | 'figures' | 'stop') => {
  if (typeof command === 'object') {
    running = await start(command);
    process.send?.('ready');
  } else if (command === 'mark') {
    from = { cpu: process.cpuUsage(), count: running?.count() ?? 0 };
    process.send?.('marked');
  } else if (command === 'figures') {
    const { user, system } = process.cpuUsage(from.cpu);
    const figures: Figures = { records: (running?.count() ?? 0) - from.count, cpuMicros: user + system };
    process.send?.(figures);
  } else {
    await running?.stop();
    process.exit(0);
  }
});
