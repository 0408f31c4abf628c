import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { Pool } from 'undici';
import { flag, int, readConfig } from '../../services/core/config.ts';
import type { ChatEvent } from '../../services/core/records.ts';
import { ChatCodec } from '../../services/platform/avro/codec.ts';
import { registryAccess } from '../../services/platform/avro/registry-access.ts';
import { clientOf } from '../../services/platform/kafka/kafkajs/client.ts';
import { createKafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { fetchTopicIds } from '../../services/platform/kafka/read/topic-ids.ts';
import { topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { KAFKA_SPEC, NLP_SPEC, REGISTRY_SPEC } from '../../services/platform/settings.ts';

/**
 * The enrichment loop as it is first written: for each message await a call over a new connection, then await a send.
 * Each switch adds one thing that one learns later; what the baseline and the enricher have beyond them is in
 * docs/case-study.md.
 */
const config = readConfig(
  {
    ...KAFKA_SPEC,
    ...REGISTRY_SPEC,
    ...NLP_SPEC,
    NAIVE_PARTITIONS: int({ default: 1, min: 1, max: 1_000, doc: 'Partitions worked on at a time' }),
    NAIVE_KEEP_ALIVE: flag({ default: false, doc: 'Keep connections instead of opening one a call' }),
    NAIVE_CALLS: int({ default: 1, min: 1, max: 20_000, doc: 'Messages of a partition worked on at a time' }),
    NAIVE_GATHER: flag({ default: false, doc: 'Send outcomes together every few milliseconds instead of one by one' }),
  },
  process.env,
);

const GATHER_MS = 4;
const topics = topicNames(config.TOPIC_PREFIX);
const kafka = createKafka({ brokers: config.KAFKA_BROKERS, clientId: 'naive', log: createLogger('naive', 'error') });
const codec = await ChatCodec.connect({ registry: registryAccess(config), topicNames: topics });
const topicId = (await fetchTopicIds(kafka, [topics.events])).get(topics.events);
if (!topicId) throw new Error(`there is no topic ${topics.events}`);
const producer = clientOf(kafka).producer({
  createPartitioner:
    () =>
    ({ message }) =>
      message.partition ?? 0,
});
const consumer = clientOf(kafka).consumer({ groupId: `${config.TOPIC_PREFIX}naive`, maxWaitTimeInMs: 100 });
const pool = new Pool(config.NLP_URL, {
  connections: config.NAIVE_CALLS * config.NAIVE_PARTITIONS,
  pipelining: 1,
  allowH2: false,
});

interface Message {
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer;
}

async function analyse(event: ChatEvent): Promise<string> {
  const body = JSON.stringify({ id: event.message_id, text: event.text });
  const headers = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) };
  if (config.NAIVE_KEEP_ALIVE) {
    const response = await pool.request({ method: 'POST', path: '/v1/analyze', headers, body });
    return response.body.text();
  }
  return new Promise((resolve, reject) => {
    const call = request(`${config.NLP_URL}/v1/analyze`, { method: 'POST', agent: false, headers }, (response) => {
      text(response).then(resolve, reject);
    });
    call.on('error', reject);
    call.end(body);
  });
}

let gathered: { message: Message; done: () => void; failed: (error: unknown) => void }[] = [];

function send(message: Message): Promise<unknown> {
  if (!config.NAIVE_GATHER) return producer.send({ topic: topics.enriched, messages: [message] });
  if (gathered.length === 0) setTimeout(flush, GATHER_MS);
  return new Promise<void>((done, failed) => gathered.push({ message, done, failed }));
}

function flush(): void {
  const sent = gathered;
  gathered = [];
  producer
    .sendBatch({ topicMessages: [{ topic: topics.enriched, messages: sent.map(({ message }) => message) }] })
    .then(
      () => {
        for (const { done } of sent) done();
      },
      (error: unknown) => {
        for (const { failed } of sent) failed(error);
      },
    );
}

async function enrich(partition: number, offset: number, key: Buffer | null, value: Buffer | null): Promise<void> {
  const decoded = await codec.decodeEvent(value);
  if (!decoded.ok) throw new Error(decoded.detail);
  const event = decoded.value;
  const source = { topic_id: topicId as never, topic: topics.events, partition, offset };
  const startedAtMs = performance.now();
  const { language, sentiment, intent, toxicity, topics: subjects, model } = JSON.parse(await analyse(event));
  const outcome = codec.encodeOutcome({
    ...event,
    source,
    origin: source,
    last_offset: null,
    outcome: 'enriched',
    provisional: false,
    reason: null,
    revision: 0,
    enriched_at: Date.now(),
    recheck: false,
    nlp_ms: Math.round(performance.now() - startedAtMs),
    attempts: 1,
    cache_hit: false,
    insight: {
      language: language.code,
      language_confidence: language.confidence,
      sentiment_label: sentiment.label,
      sentiment_score: sentiment.score,
      intent: intent.name,
      intent_confidence: intent.confidence,
      toxicity_score: toxicity.score,
      topics: subjects,
      model,
    },
  });
  await send({ partition, key, value: outcome });
}

await producer.connect();
await consumer.connect();
await consumer.subscribe({ topics: [topics.events], fromBeginning: true });
process.once('SIGTERM', () => process.exit());
await consumer.run({
  partitionsConsumedConcurrently: config.NAIVE_PARTITIONS,
  ...(config.NAIVE_CALLS === 1
    ? { eachMessage: ({ partition, message: { offset, key, value } }) => enrich(partition, Number(offset), key, value) }
    : {
        // So many at a time, and the next only when all of these are through: the slowest holds up the rest.
        eachBatch: async ({ batch: { partition, messages }, heartbeat }) => {
          for (let first = 0; first < messages.length; first += config.NAIVE_CALLS) {
            const some = messages.slice(first, first + config.NAIVE_CALLS);
            await Promise.all(some.map(({ offset, key, value }) => enrich(partition, Number(offset), key, value)));
            await heartbeat();
          }
        },
      }),
});
