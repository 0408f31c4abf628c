import type { EpochMs } from '../../core/brands.ts';
import { messageOf } from '../../core/errors.ts';
import { partitionOf } from '../../core/partitioner.ts';
import type { ChatEvent } from '../../core/records.ts';
import type { FinalNackCode } from '../../core/wire-codes.ts';
import {
  type OutgoingRecord,
  RECORD_OVERHEAD_BYTES,
  RecordRefusedError,
} from '../../platform/kafka/produce/batch-producer.ts';
import type { Logger } from '../../platform/logger.ts';
import { REPLY_TO_HEADER } from '../../platform/record-headers.ts';
import { startSend } from '../../platform/tracing/messaging-spans.ts';
import { traceHeaders } from '../../platform/tracing/trace-context.ts';
import type { Span, Tracer } from '../../platform/tracing/tracer.ts';
import type { MemoryShares, Share } from '../limits/memory-shares.ts';
import { type Sender, type SentAtWindow, toChatEvent } from './event.ts';
import { contentOf, type KnownMessages, keysOf } from './known-messages.ts';
import type { ValidMessage } from './valid-message.ts';

/** Learns what became of a message: one of its methods is called once, later, never from within {@link Intake.accept}. */
export interface Waiter {
  /** Id of the session that gets the insight. */
  readonly replyTo?: string | undefined;
  /** @returns whether the client is still connected. */
  acked(messageId: string): boolean;
  /** Kafka did not say that it has it; it may have it all the same. */
  unavailable(messageId: string): void;
  /** Kafka will not take this very message, however often it is sent. */
  refused(messageId: string, refusal: { readonly code: FinalNackCode; readonly message: string }): void;
}

/**
 * `waiting` for Kafka; `joined` to the same message in flight; `known` to be safe. The other two are refusals: too many
 * bytes wait for Kafka, or Kafka does not answer.
 */
export type Acceptance =
  | { readonly kind: 'waiting' | 'unavailable' }
  /** `share`: whose own part of these bytes is used up; without it all of them are. */
  | { readonly kind: 'overloaded'; readonly share?: Share }
  /** `differs`: the content is another than that of the message that was taken under this id. */
  | { readonly kind: 'joined' | 'known'; readonly differs: boolean };

const WAITING: Acceptance = { kind: 'waiting' };
const OVERLOADED: Acceptance = { kind: 'overloaded' };
const UNAVAILABLE: Acceptance = { kind: 'unavailable' };

/** What the sender of an overloaded message is told. */
export const overloadedText = ({ share }: { readonly share?: Share }): string =>
  share === undefined ? 'too much waits for Kafka' : `too much of this ${share} waits for Kafka`;

/** A message that waits for Kafka. */
interface InFlight {
  readonly messageId: string;
  readonly content: number;
  readonly waiters: Waiter[];
  readonly sender: Sender;
  readonly bytes: number;
}

/** The part of the producer that the intake needs. */
interface EventSink {
  post(record: OutgoingRecord, settled: (error?: Error) => void): void;
  hasRoomFor(bytes: number): boolean;
}

export interface IntakeOptions {
  readonly topic: string;
  /** Partitions that messages are spread over at present. */
  readonly partitions: () => number;
  readonly latencyBudgetMs: number;
  readonly sentAtWindow: SentAtWindow;
  readonly encode: (event: ChatEvent) => Buffer;
  readonly producer: EventSink;
  readonly known: KnownMessages;
  /** Bytes that wait for Kafka by bot and tenant. */
  readonly shares: MemoryShares;
  readonly onShareUsedUp?: (share: Share) => void;
  readonly onClamped: () => void;
  /** A message is safe, and all its senders have gone: it will come again, to this process or to another. */
  readonly onUnheard?: (messageKey: string) => void;
  /** Each message begins a trace of its own, if any; undefined: none does. */
  readonly tracer?: Tracer | undefined;
  readonly log: Logger;
}

const NO_HEADERS = {};

/** Records that may be sent while Kafka does not answer: enough to notice its return at once. */
const PROBES_IN_FLIGHT = 64;

/**
 * From a valid message to a record in Kafka, once. A message in flight is joined, one that is known to be safe is
 * acked without a second record. While Kafka does not answer only a few records probe it, so that an outage does not
 * fill the memory with messages that were nacked.
 */
export class Intake {
  readonly #options: IntakeOptions;
  /** By message key. */
  readonly #pending = new Map<string, InFlight>();
  #answering = true;
  #idle: (() => void)[] = [];

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Records that wait for Kafka's ack. */
  get inFlight(): number {
    return this.#pending.size;
  }

  accept(sender: Sender, message: ValidMessage, receivedAt: EpochMs, waiter: Waiter): Acceptance {
    const { producer, known, shares } = this.#options;
    const { recordKey, messageKey } = keysOf(sender, message);
    const content = contentOf(message);
    const pending = this.#pending.get(messageKey);
    if (pending) {
      pending.waiters.push(waiter);
      return { kind: 'joined', differs: pending.content !== content };
    }
    const found = known.find(messageKey);
    if (found?.state === 'safe') return { kind: 'known', differs: (found.content ?? content) !== content };
    if (!this.#answering && this.#pending.size >= PROBES_IN_FLIGHT) return UNAVAILABLE;
    const { latencyBudgetMs, sentAtWindow, encode, onClamped } = this.#options;
    const event = toChatEvent(message, {
      sender,
      receivedAt,
      sentAtWindow,
      latencyBudgetMs,
      resent: found !== undefined,
    });
    if (event.sent_at_original !== null) onClamped();
    const value = encode(event);
    const bytes = value.length + recordKey.length + RECORD_OVERHEAD_BYTES;
    if (!producer.hasRoomFor(bytes)) return OVERLOADED;
    const share = shares.exceededBy(sender, bytes);
    if (share !== undefined) {
      this.#options.onShareUsedUp?.(share);
      return { kind: 'overloaded', share };
    }
    shares.add(sender, bytes);
    this.#pending.set(messageKey, { messageId: message.id, content, waiters: [waiter], sender, bytes });
    const { topic, partitions, tracer } = this.#options;
    const resendValue = () => encode({ ...event, resent: true });
    const partition = partitionOf(recordKey, partitions());
    const span = tracer?.draws() ? startSend(tracer, { topic, partition }, attributesOf(event)) : undefined;
    const headers = headersOf(waiter.replyTo, span);
    producer.post({ topic, partition, key: recordKey, value, headers, resendValue }, (error) => {
      if (span) finish(span, error);
      if (error instanceof RecordRefusedError) this.#refused(messageKey, error);
      else if (error) this.#failed(messageKey, error);
      else this.#safe(messageKey);
    });
    return WAITING;
  }

  /** Resolves when nothing waits for Kafka any more. */
  async idle(): Promise<void> {
    if (this.#pending.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #safe(messageKey: string): void {
    if (!this.#answering) this.#options.log.info('Kafka answers again');
    this.#answering = true;
    const { messageId, content, waiters } = this.#settle(messageKey);
    this.#options.known.note(messageKey, 'safe', content);
    let heard = false;
    for (const waiter of waiters) heard = waiter.acked(messageId) || heard;
    if (!heard) this.#options.onUnheard?.(messageKey);
  }

  #failed(messageKey: string, error: unknown): void {
    if (this.#answering) this.#options.log.error({ err: messageOf(error) }, 'Kafka did not take a record');
    this.#answering = false;
    const { messageId, content, waiters } = this.#settle(messageKey);
    this.#options.known.note(messageKey, 'unclear', content);
    for (const waiter of waiters) waiter.unavailable(messageId);
  }

  /** The message's own fault and nobody's outage: nothing of it is in the log, and nothing is remembered. */
  #refused(messageKey: string, error: RecordRefusedError): void {
    this.#options.log.warn({ error: error.code, bytes: error.bytes }, 'Kafka refused a message for its own sake');
    const { messageId, waiters } = this.#settle(messageKey);
    const tooLarge = error.code === 'MESSAGE_TOO_LARGE' || error.code === 'RECORD_LIST_TOO_LARGE';
    const message = tooLarge
      ? `with its metadata it has about ${error.bytes} bytes, more than Kafka takes: shorten it`
      : `Kafka does not take it (${error.code})`;
    for (const waiter of waiters) {
      waiter.refused(messageId, { code: tooLarge ? 'text_too_long' : 'invalid_field', message });
    }
  }

  #settle(messageKey: string): InFlight {
    const pending = this.#pending.get(messageKey);
    if (!pending) throw new Error('a record was settled twice');
    this.#pending.delete(messageKey);
    this.#options.shares.add(pending.sender, -pending.bytes);
    if (this.#pending.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    return pending;
  }
}

function headersOf(replyTo: string | undefined, span: Span | undefined): Record<string, string> {
  if (span === undefined) return replyTo === undefined ? NO_HEADERS : { [REPLY_TO_HEADER]: replyTo };
  return { ...traceHeaders(span.context), ...(replyTo !== undefined && { [REPLY_TO_HEADER]: replyTo }) };
}

const attributesOf = ({ message_id, tenant_id, bot_id, attempt }: ChatEvent) => ({
  'parley.message_id': message_id,
  'parley.tenant_id': tenant_id,
  'parley.bot_id': bot_id,
  'parley.client_attempt': attempt,
});

function finish(span: Span, error: Error | undefined): void {
  if (error) span.fail(error.name);
  span.end();
}
