import { CLOSE_CODES, FINAL_NACK_CODES, type FinalNackCode, isTemporaryNack } from '../core/wire-codes.ts';
import { within } from '../core/within.ts';
import { countOr, delayMs } from './bounds.ts';
import { defaultTransport } from './default-transport.ts';
import { encodeMessage, frameOf } from './encode-message.ts';
import { ParleyClientError } from './errors.ts';
import { frameLimitOf } from './frame-limit.ts';
import type { AckFrame, Insight, NackFrame, OutgoingMessage, ServerFrame, WelcomeLimits } from './frames.ts';
import { InsightStream } from './insight-stream.ts';
import { Link } from './link.ts';
import { Host } from './listeners.ts';
import {
  type ClientOptions,
  type Counters,
  checkOptions,
  DEFAULTS,
  newCounters,
  streamUrlOf,
  tokenOf,
} from './options.ts';
import { type Entry, Outbox } from './outbox.ts';
import { SeenInsights } from './seen-insights.ts';
import type { Transport } from './transport.ts';

const RETRY_FALLBACK_MS = 1_000;
/** The longest pause that a nack can ask for. */
const MAX_PAUSE_MS = 60_000;
const DEFAULT_ID_CHARS = 128;
/** 16 Mi characters are 32 MiB of memory at most. The last message that is taken may exceed it. */
const MAX_BUFFERED_CHARS = 16 << 20;
const utf8 = new TextEncoder();
const closedError = () => new ParleyClientError('closed', 'the client was closed before the gateway acked');
const isFinal = (code: string): code is FinalNackCode => (FINAL_NACK_CODES as readonly string[]).includes(code);

/**
 * A bot's connection to Parley. `send` settles when the message is safe or refused for good; what lies between (lost
 * connections, restarts, temporary nacks) is handled here: a message is sent again, with a raised `attempt`, until the
 * gateway acks it. There is no timer for a message: thousands of clients fit into one process.
 *
 * It never ends its host: what a transport, a token provider or a listener throws becomes a rejection or is told to
 * `onProblem`, and a rejection of `send` that nobody looks at is no unhandled one.
 */
export class ParleyClient {
  readonly counters: Counters = newCounters();
  /** What became of the messages, as it comes; empty unless the client was connected with `insights: true`. */
  readonly insights: InsightStream;
  readonly #options: ClientOptions;
  readonly #maxBuffered: number;
  readonly #outbox = new Outbox();
  readonly #seen = new SeenInsights();
  readonly #host: Host;
  readonly #link: Link;
  #limits: WelcomeLimits | undefined;
  #onFirstSession: (error?: ParleyClientError) => void = () => {};
  #closedBy: ParleyClientError | undefined;
  #pauseTimer: ReturnType<typeof setTimeout> | undefined;
  #pausedUntilMs = 0;
  #lostLast = 0;
  #closing = false;
  #onRoom: (() => void)[] = [];
  #onEmpty: (() => void)[] = [];

  private constructor(options: ClientOptions, transport: Transport) {
    this.#options = options;
    this.insights = new InsightStream(options.maxBufferedInsights ?? DEFAULTS.maxBufferedInsights, () => {
      this.counters.insightsDropped += 1;
    });
    this.#host = new Host(options.listeners, () => {
      this.counters.listenerFailures += 1;
    });
    this.#maxBuffered = options.maxBuffered ?? DEFAULTS.maxBuffered;
    this.#link = new Link(
      {
        urlOf: streamUrlOf(options),
        transport,
        token: tokenOf(options),
        renewable: options.tokenProvider !== undefined,
        backoff: { ...(options.backoff ?? DEFAULTS.backoff), random: options.random ?? Math.random },
        answerTimeoutMs: options.answerTimeoutMs ?? DEFAULTS.answerTimeoutMs,
      },
      {
        opened: (limits) => this.#onOpened(limits),
        frame: (frame) => this.#onFrame(frame),
        lost: (code) => this.#onLost(code),
        failed: (error) => this.#fail(error),
        problem: (problem) => this.#host.tell('onProblem', problem),
        renewing: () => {
          this.counters.renewals += 1;
        },
        expectsAnswer: () => this.#outbox.sentCount > 0,
      },
    );
  }

  /**
   * Resolves with the first session.
   *
   * @throws {ParleyClientError} `invalid_option`, `connect_timeout`, or `handshake_refused` with the gateway's code in
   * `detail`.
   */
  static async connect(options: ClientOptions): Promise<ParleyClient> {
    checkOptions(options);
    const client = new ParleyClient(options, options.transport ?? (await defaultTransport()));
    await client.#firstSession(options.connectTimeoutMs ?? DEFAULTS.connectTimeoutMs);
    return client;
  }

  /** What the gateway announced last. */
  get limits(): WelcomeLimits {
    if (!this.#limits) throw new Error('connect() has not resolved yet');
    return this.#limits;
  }

  /** Messages that are not settled yet. */
  get pending(): number {
    return this.#outbox.size;
  }

  /**
   * Resolves when the message is safe on all of Kafka's in-sync replicas.
   *
   * @throws {ParleyClientError} with the gateway's final nack code, or a code of the client's own.
   */
  send(message: OutgoingMessage): Promise<void> {
    const refusal = this.#refusalOf();
    if (refusal) return rejected(refusal);
    try {
      const maxIdChars = countOr(this.limits['max_id_chars'], DEFAULT_ID_CHARS);
      const encoded = encodeMessage(message, Date.now(), maxIdChars);
      const tooLarge = this.#tooLarge(frameOf(encoded, encoded.attempt));
      if (tooLarge) return rejected(tooLarge);
      const settled = this.#outbox.add(encoded);
      this.#pump();
      return settled;
    } catch (error) {
      return rejected(error as ParleyClientError);
    }
  }

  /** Resolves when `send` would not be refused with `buffer_full`, or when the client is closed. */
  async room(): Promise<void> {
    while (this.#isFull && !this.#closedBy) {
      await new Promise<void>((resolve) => this.#onRoom.push(resolve));
    }
  }

  /**
   * Waits until everything is settled, at most `timeoutMs`, then says goodbye. What is not acked by then is rejected
   * with `closed`.
   */
  async close({ timeoutMs = 10_000 } = {}): Promise<void> {
    this.#closing = true;
    if (this.#outbox.size > 0 && !this.#closedBy) {
      const empty = new Promise<void>((resolve) => this.#onEmpty.push(resolve));
      await within(delayMs(timeoutMs), empty, () => undefined);
    }
    this.#fail(closedError());
    await this.#link.close();
  }

  async #firstSession(timeoutMs: number): Promise<void> {
    const opened = new Promise<void>((resolve, reject) => {
      this.#onFirstSession = (error) => (error ? reject(error) : resolve());
    });
    const timer = setTimeout(() => {
      const { lastProblem } = this.#link;
      const why = `no session within ${timeoutMs} ms: ${lastProblem ?? 'the gateway did not answer'}`;
      this.#fail(new ParleyClientError('connect_timeout', why, { detail: lastProblem }));
    }, timeoutMs);
    this.#link.start();
    try {
      await opened;
    } finally {
      clearTimeout(timer);
    }
  }

  get #isFull(): boolean {
    return this.#outbox.size >= this.#maxBuffered || this.#outbox.chars >= MAX_BUFFERED_CHARS;
  }

  #refusalOf(): ParleyClientError | undefined {
    if (this.#closedBy) return this.#closedBy;
    if (this.#closing) return closedError();
    if (!this.#isFull) return undefined;
    const why = `${this.#outbox.size} messages wait already; await room() before sending more`;
    return new ParleyClientError('buffer_full', why);
  }

  #onOpened(limits: WelcomeLimits): void {
    const again = this.#limits !== undefined;
    this.#limits = limits;
    // A pause belonged to the gateway that asked for it.
    this.#pausedUntilMs = 0;
    clearTimeout(this.#pauseTimer);
    if (again) {
      this.counters.reconnects += 1;
      this.#host.tell('onReconnect', this.#lostLast);
    } else this.#onFirstSession();
    this.#pump();
  }

  #onLost(code: number): void {
    if (code === CLOSE_CODES.frame_too_big) this.#giveUpLargest();
    this.#lostLast = this.#outbox.connectionLost();
    this.counters.resent += this.#lostLast;
  }

  /** 1009 names no message. The largest one it is, if any: sending it again would end the next connection as well. */
  #giveUpLargest(): void {
    const largest = this.#outbox.largestSent();
    if (!largest) return;
    const error = new ParleyClientError('frame_too_large', 'the other end takes no message as large as this one');
    this.#outbox.refused(largest.id, largest.conversationId, error);
    this.counters.refused += 1;
    this.#afterSettling();
  }

  #pump(): void {
    if (!this.#limits || performance.now() < this.#pausedUntilMs) return;
    const window = Math.min(this.#limits.max_in_flight, this.#options.maxInFlight ?? Number.POSITIVE_INFINITY);
    while (this.#link.isOpen && this.#outbox.sentCount < window) {
      const entry = this.#outbox.take();
      if (!entry) return;
      this.#transmit(entry);
    }
  }

  #transmit({ message, attempt }: Entry): void {
    const data = frameOf(message, attempt);
    const tooLarge = this.#tooLarge(data);
    if (tooLarge) {
      this.#outbox.refused(message.id, message.conversationId, tooLarge);
      this.counters.refused += 1;
      this.#afterSettling();
      return;
    }
    this.counters.sent += 1;
    this.#link.send(data);
  }

  #tooLarge(frame: string): ParleyClientError | undefined {
    const maxBytes = frameLimitOf(this.limits);
    // A code unit takes at most three bytes, so most frames need no second look.
    if (frame.length * 3 <= maxBytes || utf8.encode(frame).length <= maxBytes) return undefined;
    return new ParleyClientError(
      'frame_too_large',
      `the message has more than the ${maxBytes} bytes that can be allowed`,
    );
  }

  #onFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case 'ack':
        this.#onAck(frame);
        return;
      case 'nack':
        this.#onNack(frame);
        return;
      case 'error':
        this.counters.errors += 1;
        this.#host.tell('onError', frame);
        return;
      case 'insight':
        this.#onInsight(frame);
        return;
      case 'token_expiring':
        this.#link.renew(frame.expires_in_ms);
        this.#host.tell('onTokenExpiring', frame.expires_in_ms);
        return;
      default:
        // A newer gateway may say more than this client knows.
        return;
    }
  }

  #onInsight({ type: _, ...insight }: { type: 'insight' } & Insight): void {
    if (!this.#seen.note(insight)) {
      this.counters.insightsRepeated += 1;
      return;
    }
    this.counters.insights += 1;
    if (this.#options.insights) this.insights.push(insight);
    this.#host.tell('onInsight', insight);
  }

  /** All of the frame is settled before a listener is told, which may close this client. */
  #onAck({ ids, conversation_ids, differs = [] }: AckFrame): void {
    const acked = ids.flatMap((id, i) => this.#outbox.acked(id, conversation_ids?.[i]) ?? []);
    this.counters.acked += acked.length;
    this.#afterSettling();
    this.#pump();
    for (const { id, conversationId } of acked) {
      const other = differs.includes(id);
      if (other) this.counters.differing += 1;
      this.#host.tell('onAck', id, { conversation_id: conversationId, differs: other });
    }
  }

  #onNack(nack: NackFrame): void {
    const { id, conversation_id, code, message, retry_after_ms } = nack;
    const name = isFinal(code) || isTemporaryNack(code) ? code : 'other';
    this.counters.nacks[name] = (this.counters.nacks[name] ?? 0) + 1;
    // A code that this version does not know is temporary if it says when to come back.
    if (isTemporaryNack(code) || (!isFinal(code) && retry_after_ms !== undefined)) {
      this.counters.postponed += 1;
      // Only `unavailable`, and what is not known, leave open whether Kafka has the message.
      this.#outbox.postponed(id, conversation_id, code === 'unavailable' || name === 'other');
      this.#pauseFor(delayMs(retry_after_ms, MAX_PAUSE_MS) || RETRY_FALLBACK_MS);
    } else if (this.#outbox.refused(id, conversation_id, new ParleyClientError(code, message))) {
      this.counters.refused += 1;
    }
    this.#afterSettling();
    this.#pump();
    this.#host.tell('onNack', nack);
  }

  /** All temporary codes speak of the bot or the gateway as a whole, so the pause holds for every message. */
  #pauseFor(forMs: number): void {
    const untilMs = performance.now() + forMs;
    if (untilMs <= this.#pausedUntilMs) return;
    this.#pausedUntilMs = untilMs;
    clearTimeout(this.#pauseTimer);
    this.#pauseTimer = setTimeout(() => {
      this.#pausedUntilMs = 0;
      this.#pump();
    }, forMs);
  }

  #afterSettling(): void {
    if (this.#onRoom.length > 0 && !this.#isFull) {
      for (const resolve of this.#onRoom.splice(0)) resolve();
    }
    this.#link.answered();
    if (this.#outbox.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  #fail(error: ParleyClientError): void {
    if (this.#closedBy) return;
    this.#closedBy = error;
    clearTimeout(this.#pauseTimer);
    this.#outbox.rejectAll(error);
    this.insights.end();
    this.#onFirstSession(error);
    this.#afterSettling();
    void this.#link.close();
    this.#host.tell('onClosed', error);
  }
}

/** Handled already: a caller who does not look is told by `onNack` and `onClosed`, and its process goes on. */
function rejected(error: ParleyClientError): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(() => {});
  return promise;
}
