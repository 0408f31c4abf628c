import type { Dispatcher } from 'undici';
import { Client } from 'undici';
import { int, readConfig } from '../../services/core/config.ts';
import type { ChatEvent, ChatOutcome, Coordinates } from '../../services/core/records.ts';
import { AvroEncoder } from '../../services/platform/avro/avro-encoder.ts';
import { openRegistry } from '../../services/platform/avro/registry-access.ts';
import { RegistryClient } from '../../services/platform/avro/registry-client.ts';
import { EVENT_SCHEMA, OUTCOME_SCHEMA } from '../../services/platform/avro/schema-files.ts';
import { clientOf } from '../../services/platform/kafka/kafkajs/client.ts';
import { createKafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { fetchTopicIds } from '../../services/platform/kafka/read/topic-ids.ts';
import { topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { outcomeHeaders } from '../../services/platform/record-headers.ts';
import { KAFKA_SPEC, NLP_SPEC, REGISTRY_SPEC } from '../../services/platform/settings.ts';

/**
 * The baseline: the leanest loop from chat.events over the NLP API to chat.enriched that the same libraries allow. It
 * decodes, calls, encodes and produces, with a bound on the calls in flight, and that is all: no limiter, retry,
 * time-out, breaker, ledger, check, cache or metric. Its outcomes are those of the enricher, headers included, which are
 * part of what an outcome is. It loses messages at any fault; it is what the enricher is compared with.
 */
const config = readConfig(
  {
    ...KAFKA_SPEC,
    ...REGISTRY_SPEC,
    ...NLP_SPEC,
    BASELINE_IN_FLIGHT: int({ default: 2_000, min: 1, max: 20_000, doc: 'Calls in flight at most, a connection each' }),
    BASELINE_LINGER_MS: int({ default: 4, min: 0, max: 1_000, doc: 'How long an outcome waits for others' }),
  },
  process.env,
);

const HEADER_BYTES = 5;
const COMMIT_MS = 1_000;
const topics = topicNames(config.TOPIC_PREFIX);
const kafka = createKafka({
  brokers: config.KAFKA_BROKERS,
  clientId: 'baseline',
  log: createLogger('baseline', 'error'),
});
const registry = new RegistryClient(openRegistry(config.SCHEMA_REGISTRY_URL));
const encoder = new AvroEncoder(OUTCOME_SCHEMA.type, await registry.idOf(`${topics.enriched}-value`, OUTCOME_SCHEMA));
const topicId = (await fetchTopicIds(kafka, [topics.events])).get(topics.events);
if (!topicId) throw new Error(`there is no topic ${topics.events}`);
const producer = clientOf(kafka).producer({
  createPartitioner:
    () =>
    ({ message }) =>
      message.partition ?? 0,
  allowAutoTopicCreation: false,
});
const consumer = clientOf(kafka).consumer({ groupId: `${config.TOPIC_PREFIX}baseline`, maxWaitTimeInMs: 100 });

/** A client is one connection: taking a free one from a stack is cheaper than letting a pool search for one. */
const free: Client[] = Array.from(
  { length: config.BASELINE_IN_FLIGHT },
  () => new Client(config.NLP_URL, { pipelining: 1, allowH2: false }),
);
let roomFor: (() => void) | undefined;

/** As avsc gives and takes them: metadata is a plain object here. */
type BaselineEvent = Omit<ChatEvent, 'metadata'> & { readonly metadata: Readonly<Record<string, string>> };
type BaselineOutcome = Omit<ChatOutcome, 'metadata'> & Pick<BaselineEvent, 'metadata'>;

interface Analysis {
  readonly language: { readonly code: string; readonly confidence: number };
  readonly sentiment: { readonly label: string; readonly score: number };
  readonly intent: { readonly name: string; readonly confidence: number };
  readonly toxicity: { readonly score: number };
  readonly topics: readonly string[];
  readonly model: string;
}

const HEADERS = ['content-type', 'application/json'];

class Call implements Dispatcher.DispatchHandler {
  readonly #client: Client;
  readonly #event: BaselineEvent;
  readonly #source: Coordinates;
  readonly #key: Buffer | null;
  readonly #startedAtMs = performance.now();
  #body: Buffer | undefined;

  constructor(client: Client, event: BaselineEvent, source: Coordinates, key: Buffer | null) {
    this.#client = client;
    this.#event = event;
    this.#source = source;
    this.#key = key;
  }

  // undici wants these two of every handler.
  onRequestStart(): void {}
  onResponseStart(): void {}

  onResponseData(_: unknown, chunk: Buffer): void {
    this.#body = this.#body ? Buffer.concat([this.#body, chunk]) : chunk;
  }

  onResponseEnd(): void {
    const analysis = JSON.parse((this.#body as Buffer).toString()) as Analysis;
    const outcome = outcomeOf(this.#event, this.#source, analysis, performance.now() - this.#startedAtMs);
    produce({
      partition: this.#source.partition,
      key: this.#key,
      value: encoder.encode(outcome),
      headers: outcomeHeaders(outcome),
    });
    free.push(this.#client);
    if (roomFor) {
      const resume = roomFor;
      roomFor = undefined;
      resume();
    }
  }

  onResponseError(_: unknown, error: Error): void {
    throw error;
  }
}

function outcomeOf(event: BaselineEvent, source: Coordinates, analysis: Analysis, nlpMs: number): BaselineOutcome {
  return {
    source,
    last_offset: null,
    origin: source,
    outcome: 'enriched',
    provisional: false,
    reason: null,
    revision: 0,
    supersedes: null,
    message_id: event.message_id,
    tenant_id: event.tenant_id,
    bot_id: event.bot_id,
    conversation_id: event.conversation_id,
    speaker: event.speaker,
    text: event.text,
    sent_at: event.sent_at,
    sent_at_original: event.sent_at_original,
    received_at: event.received_at,
    enriched_at: Date.now(),
    recheck: false,
    user_id: event.user_id,
    channel: event.channel,
    bot_version: event.bot_version,
    metadata: event.metadata,
    nlp_ms: Math.round(nlpMs),
    attempts: 1,
    cache_hit: false,
    insight: {
      language: analysis.language.code,
      language_confidence: analysis.language.confidence,
      sentiment_label: analysis.sentiment.label,
      sentiment_score: analysis.sentiment.score,
      intent: analysis.intent.name,
      intent_confidence: analysis.intent.confidence,
      toxicity_score: analysis.toxicity.score,
      topics: analysis.topics,
      model: analysis.model,
    },
  };
}

interface OutcomeRecord {
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer;
  readonly headers: ReturnType<typeof outcomeHeaders>;
}

let batch: OutcomeRecord[] = [];

function produce(record: OutcomeRecord): void {
  if (batch.length === 0) setTimeout(flush, config.BASELINE_LINGER_MS);
  batch.push(record);
}

function flush(): void {
  const messages = batch;
  batch = [];
  void producer.sendBatch({ acks: -1, topicMessages: [{ topic: topics.enriched, messages }] });
}

await producer.connect();
await consumer.connect();
await consumer.subscribe({ topics: [topics.events], fromBeginning: true });
process.once('SIGTERM', () => process.exit());
// kafkajs would commit after every batch, which is what most of its time at low rates goes into.
const positions = new Map<number, string>();
setInterval(() => {
  const offsets = [...positions].map(([partition, offset]) => ({ topic: topics.events, partition, offset }));
  if (offsets.length > 0) void consumer.commitOffsets(offsets);
}, COMMIT_MS);
await consumer.run({
  autoCommit: false,
  eachBatch: async ({ batch: { partition, messages } }) => {
    for (const { offset, key, value } of messages) {
      const client = free.pop() ?? (await room());
      const event = EVENT_SCHEMA.type.fromBuffer((value as Buffer).subarray(HEADER_BYTES)) as BaselineEvent;
      const source = { topic_id: topicId, topic: topics.events, partition, offset: Number(offset) };
      const body = JSON.stringify({ id: event.message_id, text: event.text });
      client.dispatch(
        { method: 'POST', path: '/v1/analyze', headers: HEADERS, body },
        new Call(client, event, source, key),
      );
    }
    positions.set(partition, String(Number(messages.at(-1)?.offset) + 1));
  },
});

async function room(): Promise<Client> {
  await new Promise<void>((resolve) => {
    roomFor = resolve;
  });
  return free.pop() as Client;
}
