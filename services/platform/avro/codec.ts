import type { ChatEvent, ChatOutcome } from '../../core/records.ts';
import type { Check } from '../admin-server.ts';
import { AvroDecoder, type Decoded } from './avro-decoder.ts';
import { AvroEncoder } from './avro-encoder.ts';
import type { RegistryAccess } from './registry-access.ts';
import { RegistryClient } from './registry-client.ts';
import { EVENT_SCHEMA, OUTCOME_SCHEMA } from './schema-files.ts';

export type { Decoded } from './avro-decoder.ts';
export { RegistryUnavailableError } from './registry-client.ts';

interface RawMetadata {
  metadata: Readonly<Record<string, string>> | ReadonlyMap<string, string>;
}

const NO_METADATA: ReadonlyMap<string, string> = new Map();

/** What avsc decoded is nobody else's: its map is exchanged in place, since a copy of all fields cost more than decoding. */
const withMap = <T>(raw: RawMetadata): T => {
  const entries = Object.entries(raw.metadata);
  raw.metadata = entries.length === 0 ? NO_METADATA : new Map(entries);
  return raw as T;
};

/** As avsc takes it. An empty Map has no keys, just as an empty object: most messages have no metadata. */
const entriesOf = (metadata: ReadonlyMap<string, string>): object =>
  metadata.size === 0 ? metadata : Object.fromEntries(metadata);

/** Every field by name: spreading 20 of them cost a third of the encoding itself. */
const rawEvent = (event: ChatEvent): { readonly [K in keyof ChatEvent]: unknown } => ({
  message_id: event.message_id,
  tenant_id: event.tenant_id,
  bot_id: event.bot_id,
  conversation_id: event.conversation_id,
  speaker: event.speaker,
  text: event.text,
  sent_at: event.sent_at,
  sent_at_original: event.sent_at_original,
  received_at: event.received_at,
  deadline_at: event.deadline_at,
  attempt: event.attempt,
  resent: event.resent,
  user_id: event.user_id,
  channel: event.channel,
  bot_version: event.bot_version,
  metadata: entriesOf(event.metadata),
  origin: event.origin,
  supersedes: event.supersedes,
  replay_id: event.replay_id,
  replay_attempt: event.replay_attempt,
});

export interface CodecOptions {
  readonly registry: RegistryAccess;
  readonly topicNames: { readonly events: string; readonly enriched: string };
}

/** Chat events and outcomes as Avro in the Confluent wire format. */
export class ChatCodec {
  readonly #registry: RegistryClient;
  readonly #eventEncoder: AvroEncoder;
  readonly #outcomeEncoder: AvroEncoder;
  readonly #eventDecoder: AvroDecoder<ChatEvent>;
  readonly #outcomeDecoder: AvroDecoder<ChatOutcome>;

  private constructor(registry: RegistryClient, eventId: number, outcomeId: number) {
    this.#registry = registry;
    this.#eventEncoder = new AvroEncoder(EVENT_SCHEMA.type, eventId);
    this.#outcomeEncoder = new AvroEncoder(OUTCOME_SCHEMA.type, outcomeId);
    this.#eventDecoder = new AvroDecoder<ChatEvent>(EVENT_SCHEMA.type, eventId, registry, withMap);
    this.#outcomeDecoder = new AvroDecoder<ChatOutcome>(OUTCOME_SCHEMA.type, outcomeId, registry, withMap);
  }

  /**
   * Registers both schemas (the same ones again change nothing), or looks them up where nothing may be written.
   *
   * @throws {ParleyError} as {@link RegistryClient.idOf}.
   */
  static async connect({ registry: access, topicNames }: CodecOptions): Promise<ChatCodec> {
    const registry = new RegistryClient(access);
    const eventId = await registry.idOf(`${topicNames.events}-value`, EVENT_SCHEMA);
    const outcomeId = await registry.idOf(`${topicNames.enriched}-value`, OUTCOME_SCHEMA);
    return new ChatCodec(registry, eventId, outcomeId);
  }

  encodeEvent(event: ChatEvent): Buffer {
    return this.#eventEncoder.encode(rawEvent(event));
  }

  encodeOutcome(outcome: ChatOutcome): Buffer {
    const { metadata } = outcome;
    const raw = metadata.size === 0 ? outcome : { ...outcome, metadata: entriesOf(metadata) };
    return this.#outcomeEncoder.encode(raw);
  }

  /** See {@link AvroDecoder.decode}. */
  decodeEvent(value: Buffer | null): Decoded<ChatEvent> | Promise<Decoded<ChatEvent>> {
    return this.#eventDecoder.decode(value);
  }

  decodeOutcome(value: Buffer | null): Decoded<ChatOutcome> | Promise<Decoded<ChatOutcome>> {
    return this.#outcomeDecoder.decode(value);
  }

  readonly check: Check = async (signal) => {
    await this.#registry.ping(signal);
    return {};
  };
}
