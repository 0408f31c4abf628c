import { type FinalNackCode, isTemporaryNack } from '../core/wire-codes.ts';
import { within } from '../core/within.ts';
import { defaultTransport } from './default-transport.ts';
import { ParleyClientError } from './errors.ts';
import type { Insight, NackFrame, OutgoingMessage, ServerFrame, WelcomeLimits } from './frames.ts';
import { InsightStream } from './insight-stream.ts';
import { Link } from './link.ts';
import { type ClientOptions, type Counters, DEFAULTS, newCounters } from './options.ts';
import { type Entry, Outbox } from './outbox.ts';
import { SeenInsights } from './seen-insights.ts';
import type { Transport } from './transport.ts';

const RETRY_FALLBACK_MS = 1_000;
const utf8 = new TextEncoder();
const closedError = () => new ParleyClientError('closed', 'the client was closed before the gateway acked');

/**
 * A bot's connection to Parley. `send` settles when the message is safe or refused for good; what lies between (lost
 * connections, restarts, temporary nacks) is handled here: a message is sent again, with a raised `attempt`, until the
 * gateway acks it. There is no timer for a message: thousands of clients fit into one process.
 */
export class ParleyClient {
  readonly counters: Counters = newCounters();
  /** What became of the messages, as it comes; empty unless the client was connected with `insights: true`. */
  readonly insights: InsightStream;
  readonly #options: ClientOptions;
  readonly #maxBuffered: number;
  readonly #outbox = new Outbox();
  readonly #seen = new SeenInsights();
  readonly #link: Link;
  readonly #opened = Promise.withResolvers<void>();
  #limits: WelcomeLimits | undefined;
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
    this.#maxBuffered = options.maxBuffered ?? DEFAULTS.maxBuffered;
    const { token, tokenProvider } = options;
    if ((token === undefined) === (tokenProvider === undefined)) {
      throw new TypeError('give exactly one of token and tokenProvider');
    }
    this.#link = new Link(
      {
        url: options.insights ? withInsights(options.url) : options.url,
        transport,
        token: tokenProvider ?? (() => token as string),
        renewable: tokenProvider !== undefined,
        backoff: { ...(options.backoff ?? DEFAULTS.backoff), random: options.random ?? Math.random },
      },
      {
        opened: (limits) => this.#onOpened(limits),
        frame: (frame) => this.#onFrame(frame),
        lost: () => {
          this.#lostLast = this.#outbox.connectionLost();
          this.counters.resent += this.#lostLast;
        },
        failed: (error) => this.#fail(error),
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
   * @throws {ParleyClientError} `connect_timeout`, or `handshake_refused` with the gateway's code in `detail`.
   */
  static async connect(options: ClientOptions): Promise<ParleyClient> {
    const client = new ParleyClient(options, options.transport ?? (await defaultTransport()));
    const timeoutMs = options.connectTimeoutMs ?? DEFAULTS.connectTimeoutMs;
    const timer = setTimeout(() => {
      const { lastProblem } = client.#link;
      const why = `no session within ${timeoutMs} ms: ${lastProblem ?? 'the gateway did not answer'}`;
      client.#fail(new ParleyClientError('connect_timeout', why, lastProblem));
    }, timeoutMs);
    client.#link.start();
    try {
      await client.#opened.promise;
    } finally {
      clearTimeout(timer);
    }
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
    if (this.#closedBy) return Promise.reject(this.#closedBy);
    if (this.#closing) return Promise.reject(closedError());
    if (this.#outbox.size >= this.#maxBuffered) {
      const why = `${this.#maxBuffered} messages wait already; await room() before sending more`;
      return Promise.reject(new ParleyClientError('buffer_full', why));
    }
    const { id = crypto.randomUUID(), sent_at = Date.now() } = message;
    const settled = this.#outbox.add({ ...message, id, sent_at });
    this.#pump();
    return settled;
  }

  /** Resolves when `send` would not be refused with `buffer_full`, or when the client is closed. */
  async room(): Promise<void> {
    while (this.#outbox.size >= this.#maxBuffered && !this.#closedBy) {
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
      await within(timeoutMs, empty, () => undefined);
    }
    this.#fail(closedError());
    await this.#link.close();
  }

  #onOpened(limits: WelcomeLimits): void {
    if (this.#limits) {
      this.counters.reconnects += 1;
      this.#options.listeners?.onReconnect?.(this.#lostLast);
    }
    this.#limits = limits;
    // A pause belonged to the gateway that asked for it.
    this.#pausedUntilMs = 0;
    this.#opened.resolve();
    this.#pump();
  }

  #pump(): void {
    if (!this.#limits || performance.now() < this.#pausedUntilMs) return;
    const window = Math.min(this.#limits.max_in_flight, this.#options.maxInFlight ?? Number.POSITIVE_INFINITY);
    while (this.#link.isOpen && this.#outbox.sentCount < window) {
      const entry = this.#outbox.take();
      if (!entry) return;
      this.#transmit(entry, this.#limits.max_frame_bytes);
    }
  }

  #transmit({ id, message, attempt }: Entry, maxBytes: number): void {
    const data = JSON.stringify({ type: 'message', ...message, attempt });
    // A code unit takes at most three bytes, so most frames need no second look.
    if (data.length * 3 > maxBytes && utf8.encode(data).length > maxBytes) {
      const why = `the message has more than the ${maxBytes} bytes that the gateway takes`;
      this.#outbox.refused(id, new ParleyClientError('frame_too_large', why));
      this.#afterSettling();
      return;
    }
    this.counters.sent += 1;
    this.#link.send(data);
  }

  #onFrame(frame: ServerFrame): void {
    const { listeners } = this.#options;
    switch (frame.type) {
      case 'ack':
        for (const id of frame.ids) {
          if (!this.#outbox.acked(id)) continue;
          this.counters.acked += 1;
          listeners?.onAck?.(id);
        }
        this.#afterSettling();
        this.#pump();
        return;
      case 'nack':
        this.#onNack(frame);
        return;
      case 'error':
        this.counters.errors += 1;
        listeners?.onError?.(frame);
        return;
      case 'insight':
        this.#onInsight(frame);
        return;
      case 'token_expiring':
        listeners?.onTokenExpiring?.(frame.expires_in_ms);
        this.#link.renew(frame.expires_in_ms);
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
    this.#options.listeners?.onInsight?.(insight);
    if (this.#options.insights) this.insights.push(insight);
  }

  #onNack(nack: NackFrame): void {
    const { id, code, message, retry_after_ms } = nack;
    this.counters.nacks[code] = (this.counters.nacks[code] ?? 0) + 1;
    if (isTemporaryNack(code)) {
      this.counters.postponed += 1;
      // `unavailable` is the only temporary code that leaves open whether Kafka has the message.
      this.#outbox.postponed(id, code === 'unavailable');
      this.#pauseFor(retry_after_ms ?? RETRY_FALLBACK_MS);
    } else {
      this.counters.refused += 1;
      this.#outbox.refused(id, new ParleyClientError(code as FinalNackCode, message));
      this.#afterSettling();
    }
    this.#options.listeners?.onNack?.(nack);
    this.#pump();
  }

  /** All temporary codes speak of the bot or the gateway as a whole, so the pause holds for every message. */
  #pauseFor(delayMs: number): void {
    const untilMs = performance.now() + delayMs;
    if (untilMs <= this.#pausedUntilMs) return;
    this.#pausedUntilMs = untilMs;
    clearTimeout(this.#pauseTimer);
    this.#pauseTimer = setTimeout(() => {
      this.#pausedUntilMs = 0;
      this.#pump();
    }, delayMs);
  }

  #afterSettling(): void {
    if (this.#onRoom.length > 0 && this.#outbox.size < this.#maxBuffered) {
      for (const resolve of this.#onRoom.splice(0)) resolve();
    }
    this.#link.settled();
    if (this.#outbox.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  #fail(error: ParleyClientError): void {
    if (this.#closedBy) return;
    this.#closedBy = error;
    clearTimeout(this.#pauseTimer);
    this.#outbox.rejectAll(error);
    this.insights.end();
    this.#opened.reject(error);
    // This promise has no listener any more once connect() has resolved.
    this.#opened.promise.catch(() => {});
    this.#afterSettling();
    if (error.code === 'connect_timeout') void this.#link.close();
  }
}

function withInsights(url: string): string {
  const parsed = new URL(url);
  parsed.searchParams.set('insights', 'true');
  return parsed.href;
}
