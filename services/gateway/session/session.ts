import type { WebSocket } from 'ws';
import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { CLOSE_CODES, type NackCode, type TemporaryNackCode } from '../../core/wire-codes.ts';
import type { Logger } from '../../platform/logger.ts';
import type { Limits } from '../config.ts';
import type { Credentials } from '../handshake/auth.ts';
import type { Intake } from '../intake/intake.ts';
import type { ValidMessage } from '../intake/valid-message.ts';
import { type Bucket, type Buckets, TokenBucket } from '../limits/token-bucket.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { AckFlusher } from './ack-flusher.ts';
import { type Refusal, validateFrame } from './frame-validator.ts';

export interface SessionDeps {
  readonly limits: Limits;
  readonly maxSendBufferBytes: number;
  readonly maxMalformedPerMinute: number;
  readonly leewayS: number;
  /** Milliseconds before the token's end at which `token_expiring` is sent; 0 for never. */
  readonly tokenWarningMs: number;
  readonly intake: Intake;
  readonly bots: Buckets;
  readonly tenants: Buckets;
  readonly acks: AckFlusher;
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly log: Logger;
  readonly random: () => number;
}

type Phase =
  | { readonly name: 'open' }
  /** After `goaway`; closes when `letGo` was called and no message is in flight. */
  | { readonly name: 'draining'; readonly reconnectAfterMs: number; readonly letGo: boolean }
  | { readonly name: 'closed' };

const IN_FLIGHT_RETRY_MS = 100;
const OVERLOADED_RETRY_MS = 500;
const UNAVAILABLE_RETRY_MS = 2_000;

/**
 * One socket: reads frames, answers each with an ack, a nack or an error, and watches over token, pongs and the send
 * buffer. Nothing here waits: Kafka's answer comes back as a call of `acked` or `unavailable`.
 */
export class Session {
  readonly id: string;
  readonly credentials: Credentials;
  readonly #socket: WebSocket;
  readonly #deps: SessionDeps;
  readonly #bot: Bucket;
  readonly #tenant: Bucket;
  readonly #botName: string;
  readonly #replyTo: string | undefined;
  #malformed: TokenBucket | undefined;
  #phase: Phase = { name: 'open' };
  #inFlight = 0;
  #ackedIds: string[] = [];
  #nextPingAtMs: number;
  #awaitsPong = false;
  #warned = false;

  /** @param insights whether the insights of its messages are to come back to this socket. */
  constructor(id: string, socket: WebSocket, credentials: Credentials, deps: SessionDeps, insights = false) {
    this.id = id;
    this.#replyTo = insights ? id : undefined;
    this.credentials = credentials;
    this.#socket = socket;
    this.#deps = deps;
    this.#botName = JSON.stringify([credentials.tenant, credentials.bot]);
    this.#bot = deps.bots.hold(this.#botName);
    this.#tenant = deps.tenants.hold(credentials.tenant);
    this.#nextPingAtMs = deps.clock.monotonicMs() + deps.limits.ping_interval_ms;
    socket.on('message', (data: Buffer, isBinary) => this.#onMessage(data, isBinary));
    socket.on('pong', () => {
      this.#awaitsPong = false;
    });
    this.#send({ type: 'welcome', session: id, insights, limits: deps.limits });
  }

  /** Called about once a second: the token's end and the warning before it, pings, missing pongs. */
  tick(nowMs: number, nowEpochMs: number): void {
    if (this.#phase.name === 'closed') return;
    const leftMs = (this.credentials.expiresAtS + this.#deps.leewayS) * 1_000 - nowEpochMs;
    if (leftMs <= 0) {
      this.close(CLOSE_CODES.token_expired, 'token expired');
      return;
    }
    if (leftMs <= this.#deps.tokenWarningMs && !this.#warned) {
      this.#warned = true;
      this.#send({ type: 'token_expiring', expires_in_ms: leftMs });
    }
    if (nowMs < this.#nextPingAtMs) return;
    if (this.#awaitsPong) {
      this.close(CLOSE_CODES.no_pong, 'no pong');
      return;
    }
    this.#awaitsPong = true;
    this.#nextPingAtMs = nowMs + this.#deps.limits.ping_interval_ms;
    this.#socket.ping();
  }

  /** Sends `goaway`; messages that come later are nacked `shutting_down`. */
  drain(reconnectAfterMs: number): void {
    if (this.#phase.name !== 'open') return;
    this.#phase = { name: 'draining', reconnectAfterMs, letGo: false };
    this.#send({ type: 'goaway', reconnect_after_ms: reconnectAfterMs });
  }

  /** After `drain`: closes as soon as nothing is in flight. */
  letGo(): void {
    if (this.#phase.name !== 'draining') return;
    this.#phase = { ...this.#phase, letGo: true };
    this.#closeWhenDrained();
  }

  close(code: number, reason: string): void {
    if (this.#phase.name === 'closed') return;
    this.#phase = { name: 'closed' };
    this.#deps.metrics.closed(code);
    this.#socket.close(code, reason);
  }

  /** Ends the connection without a goodbye. */
  cut(): void {
    this.#phase = { name: 'closed' };
    this.#socket.terminate();
  }

  /** The socket has closed, from either side. @param oversize whether it sent a frame above the limit. */
  ended(oversize: boolean): void {
    if (this.#phase.name !== 'closed') this.#deps.metrics.closed(oversize ? CLOSE_CODES.frame_too_big : 'peer');
    this.#phase = { name: 'closed' };
    this.#deps.bots.release(this.#botName);
    this.#deps.tenants.release(this.credentials.tenant);
  }

  flushAcks(): void {
    const ids = this.#ackedIds;
    this.#ackedIds = [];
    this.#send({ type: 'ack', ids });
    this.#closeWhenDrained();
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#phase.name === 'closed') return;
    try {
      if (isBinary) {
        this.#refuse({
          kind: 'refused',
          id: undefined,
          code: 'malformed',
          message: 'the frame is binary; allowed is one JSON object a text frame',
        });
        return;
      }
      const check = validateFrame(data.toString('utf8'), this.#deps.limits, this.credentials);
      if (check.kind === 'refused') this.#refuse(check);
      else this.#take(check.message);
    } catch (error) {
      // A fault of the gateway costs one session, not all of them.
      this.#deps.log.error({ session: this.id, err: messageOf(error) }, 'a frame could not be handled');
      this.close(1011, 'internal error');
    }
  }

  #take(valid: ValidMessage): void {
    const { intake, clock, limits, metrics } = this.#deps;
    const { id } = valid;
    if (this.#phase.name === 'draining') {
      this.#postpone(id, 'shutting_down', this.#phase.reconnectAfterMs, 'this gateway is shutting down');
      return;
    }
    if (this.#inFlight >= limits.max_in_flight) {
      const message = `${limits.max_in_flight} messages of this socket wait for their ack already`;
      this.#postpone(id, 'too_many_in_flight', IN_FLIGHT_RETRY_MS, message);
      return;
    }
    const startedMs = clock.monotonicMs();
    if (!this.#withinRates(id, startedMs)) return;
    const acceptance = intake.accept(this.credentials, valid, clock.now(), {
      replyTo: this.#replyTo,
      acked: () => this.#acked(id, startedMs, acceptance === 'joined' ? 'joined' : 'acked'),
      unavailable: () => this.#unavailable(id),
      refused: (_, refusal) => this.#refused({ kind: 'refused', id, ...refusal }),
    });
    switch (acceptance) {
      case 'waiting':
      case 'joined':
        this.#inFlight += 1;
        return;
      case 'known':
        metrics.message('duplicate');
        this.#queueAck(id);
        return;
      case 'overloaded':
        this.#postpone(id, 'overloaded', this.#jitter(OVERLOADED_RETRY_MS), 'too much waits for Kafka');
        return;
      case 'unavailable':
        this.#postpone(id, 'unavailable', this.#jitter(UNAVAILABLE_RETRY_MS), 'Kafka does not answer');
        return;
    }
  }

  #withinRates(id: string, nowMs: number): boolean {
    const { limits } = this.#deps;
    if (this.#bot.available(nowMs) < 1) {
      const message = `this bot sends more than ${limits.bot_messages_per_s} messages a second`;
      this.#postpone(id, 'rate_limited', this.#bot.refuse(), message);
      return false;
    }
    if (this.#tenant.available(nowMs) < 1) {
      const message = `this tenant's bots send more than ${limits.tenant_messages_per_s} messages a second`;
      this.#postpone(id, 'rate_limited', this.#tenant.refuse(), message);
      return false;
    }
    this.#bot.take();
    this.#tenant.take();
    return true;
  }

  #acked(id: string, startedMs: number, result: 'acked' | 'joined'): boolean {
    const { metrics, clock } = this.#deps;
    this.#inFlight -= 1;
    metrics.message(result);
    metrics.ackSeconds.observe((clock.monotonicMs() - startedMs) / 1_000);
    this.#queueAck(id);
    return this.#phase.name !== 'closed';
  }

  #unavailable(id: string): void {
    this.#inFlight -= 1;
    const message = 'Kafka did not answer in time; send it again with a higher attempt';
    this.#postpone(id, 'unavailable', this.#jitter(UNAVAILABLE_RETRY_MS), message);
    this.#closeWhenDrained();
  }

  #refused(refusal: Refusal): void {
    this.#inFlight -= 1;
    this.#refuse(refusal);
    this.#closeWhenDrained();
  }

  #queueAck(id: string): void {
    if (this.#phase.name === 'closed') return;
    if (this.#ackedIds.length === 0) this.#deps.acks.mark(this);
    this.#ackedIds.push(id);
  }

  #closeWhenDrained(): void {
    if (this.#phase.name !== 'draining' || !this.#phase.letGo) return;
    if (this.#inFlight > 0 || this.#ackedIds.length > 0) return;
    this.close(CLOSE_CODES.restart, 'restart');
  }

  #jitter(ms: number): number {
    return Math.ceil(ms * (0.5 + this.#deps.random()));
  }

  #postpone(id: string, code: TemporaryNackCode, retryAfterMs: number, message: string): void {
    this.#deps.metrics.message(code);
    this.#send({ type: 'nack', id, code, message, retry_after_ms: retryAfterMs });
  }

  #refuse({ id, code, message }: Refusal): void {
    this.#deps.metrics.message(code);
    if (id === undefined) this.#send({ type: 'error', code, message });
    else this.#send({ type: 'nack', id, code, message });
    if (id === undefined || isNoMessage(code)) this.#countMalformed();
  }

  #countMalformed(): void {
    const { clock, maxMalformedPerMinute: perMinute } = this.#deps;
    const nowMs = clock.monotonicMs();
    this.#malformed ??= new TokenBucket(perMinute / 60, perMinute, nowMs);
    if (this.#malformed.available(nowMs) < 1) this.close(CLOSE_CODES.too_many_malformed, 'too many malformed frames');
    else this.#malformed.take();
  }

  #send(frame: object): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > this.#deps.maxSendBufferBytes) {
      this.close(CLOSE_CODES.slow_reader, 'slow reader');
      return;
    }
    this.#socket.send(JSON.stringify(frame));
  }
}

const isNoMessage = (code: NackCode): boolean => code === 'malformed' || code === 'unknown_type';
