import type { WebSocket } from 'ws';
import { messageOf } from '../../core/errors.ts';
import { CLOSE_CODES, type NackCode } from '../../core/wire-codes.ts';
import type { Logger } from '../../platform/logger.ts';
import type { Credentials } from '../handshake/auth.ts';
import type { Acceptance, Intake } from '../intake/intake.ts';
import type { ValidMessage } from '../intake/valid-message.ts';
import { botNameOf } from '../limits/connection-places.ts';
import type { RateLimits } from '../limits/rate-limits.ts';
import type { Buckets } from '../limits/token-bucket.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { AckFlusher } from './ack-flusher.ts';
import { ConversationOrder } from './conversation-order.ts';
import { FlowControl, type HeldBy, type RawFrame } from './flow-control.ts';
import { type FrameRules, type Refusal, validateFrame } from './frame-validator.ts';
import { Misuse, type MisuseLimits, type Penalty } from './misuse.ts';
import { Outbox, type UnsentBudget } from './outbox.ts';
import {
  BEHIND_ANOTHER,
  heldBackBy,
  KAFKA_AWAY,
  NOT_ACKED,
  overloadedBy,
  type Postponement,
  SHUTTING_DOWN,
} from './postponements.ts';
import { SignsOfLife } from './signs-of-life.ts';

export interface SessionDeps extends MisuseLimits {
  readonly rules: FrameRules;
  readonly maxSendBufferBytes: number;
  readonly unsent: UnsentBudget;
  readonly leewayS: number;
  /** Milliseconds before the token's end at which `token_expiring` is sent; 0 for never. */
  readonly tokenWarningMs: number;
  readonly intake: Intake;
  readonly rates: Pick<RateLimits, 'announced'>;
  readonly bots: Buckets;
  readonly tenants: Buckets;
  readonly acks: AckFlusher;
  readonly metrics: GatewayMetrics;
  readonly log: Logger;
  readonly random: () => number;
}

/** The socket of a session, and what its handshake asked for. */
export interface SessionSocket {
  readonly id: string;
  readonly socket: WebSocket;
  readonly credentials: Credentials;
  /** Whether the insights of its messages come back to it. */
  readonly insights: boolean;
  /** Bytes that were read from its connection so far. */
  readonly bytesRead: () => number;
  /** Gives the session's place to the one that will follow it. */
  readonly giveUpPlace: () => void;
}

type Phase =
  | { readonly name: 'open' }
  /** Takes nothing any more; closes when `letGo` was called and no message is in flight. */
  | { readonly name: 'draining'; readonly letGo: boolean }
  | { readonly name: 'closed' };

/** How long a socket that misuses it is not read. */
const PAUSE_MS = 1_000;

/** Messages that are safe, in one ack. */
interface Acks {
  readonly ids: string[];
  readonly conversationIds: string[];
  differs?: string[];
}

/**
 * One socket: reads frames, answers each with an ack, a nack or an error, and watches over token, pongs and the send
 * buffer. Nothing here waits: Kafka's answer comes back as a call of `acked` or `unavailable`.
 */
export class Session {
  readonly id: string;
  readonly credentials: Credentials;
  readonly outbox: Outbox;
  readonly #socket: WebSocket;
  readonly #deps: SessionDeps;
  readonly #flow: FlowControl;
  readonly #botName: string;
  readonly #replyTo: string | undefined;
  readonly #signs: SignsOfLife;
  readonly #giveUpPlace: () => void;
  #saidGoaway = false;
  #misuse: Misuse | undefined;
  #order: ConversationOrder | undefined;
  #phase: Phase = { name: 'open' };
  #inFlight = 0;
  #acks: Acks | undefined;
  #warned = false;

  constructor({ id, socket, credentials, insights, bytesRead, giveUpPlace }: SessionSocket, deps: SessionDeps) {
    this.id = id;
    this.#replyTo = insights ? id : undefined;
    this.credentials = credentials;
    this.#socket = socket;
    this.#deps = deps;
    this.#giveUpPlace = giveUpPlace;
    this.#botName = botNameOf(credentials);
    const { limits } = deps.rules;
    this.#signs = new SignsOfLife({ socket, clock: deps.clock, pingIntervalMs: limits.ping_interval_ms, bytesRead });
    this.#flow = new FlowControl({
      socket,
      bot: deps.bots.hold(this.#botName),
      tenant: deps.tenants.hold(credentials.tenant),
      clock: deps.clock,
      maxInFlight: limits.max_in_flight,
      inFlight: () => this.#inFlight,
      bytesPerMessage: limits.max_frame_bytes,
      take: (frame, heldBy) => this.#handle(frame, heldBy),
    });
    this.outbox = new Outbox(socket, {
      budget: deps.unsent,
      owner: credentials,
      maxBytes: deps.maxSendBufferBytes,
      onSlow: () => this.close(CLOSE_CODES.slow_reader, 'slow reader'),
      onReadable: (readable) => (readable ? this.#flow.go('unread') : this.#flow.stop('unread')),
    });
    socket.on('message', (data: Buffer, isBinary) => this.#onMessage({ data, isBinary }));
    socket.on('ping', (data: Buffer) => {
      this.#signs.heard();
      this.#onControl();
      this.outbox.pong(data);
    });
    socket.on('pong', () => {
      this.#signs.ponged();
      this.#onControl();
    });
    this.#send({ type: 'welcome', session: id, insights, limits: { ...limits, ...deps.rates.announced(credentials) } });
  }

  /** Bytes in memory of frames that are not whole yet, or held. */
  get receivingBytes(): number {
    return this.#signs.unfinishedBytes + this.#flow.heldBytes;
  }

  /** Whether the peer has given a sign of life since then (ms since the epoch); if not, it is pinged for one. */
  heardSince(ms: number): boolean {
    return this.#socket.readyState === this.#socket.OPEN && this.#signs.heardSince(ms);
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
    if (this.#signs.isPingDue(nowMs)) this.#ping(nowMs);
  }

  /** Says that it will close: its client opens the next session, and leaves this one, which takes messages until then. */
  goaway(closesInMs: number): void {
    if (this.#phase.name !== 'open' || this.#saidGoaway) return;
    this.#saidGoaway = true;
    this.#giveUpPlace();
    this.#send({ type: 'goaway', reconnect_after_ms: 0, closes_in_ms: closesInMs });
  }

  /** After `goaway`: messages that still come are nacked `shutting_down`. */
  refuse(): void {
    if (this.#phase.name !== 'open') return;
    this.#phase = { name: 'draining', letGo: false };
    this.#flow.release();
  }

  /** After `refuse`: closes as soon as nothing is in flight. */
  letGo(): void {
    if (this.#phase.name !== 'draining') return;
    this.#phase = { ...this.#phase, letGo: true };
    this.#closeWhenDrained();
  }

  close(code: number, reason: string): void {
    if (this.#phase.name === 'closed') return;
    this.#phase = { name: 'closed' };
    this.#deps.metrics.closed(code);
    this.#flow.close();
    this.#socket.close(code, reason);
    // A socket that is not read would not see its peer's answer to the close either.
    this.#socket.resume();
  }

  /** Ends the connection without a goodbye. */
  cut(): void {
    this.#phase = { name: 'closed' };
    this.#socket.terminate();
  }

  /** The socket has closed, from either side. @param oversize whether it sent a frame above the hard limit. */
  ended(oversize: boolean): void {
    if (this.#phase.name !== 'closed') this.#deps.metrics.closed(oversize ? CLOSE_CODES.frame_too_big : 'peer');
    if (this.#saidGoaway) this.#deps.metrics.departed(this.#phase.name === 'open' ? 'left' : 'closed');
    this.#phase = { name: 'closed' };
    this.#flow.close();
    this.outbox.release();
    this.#deps.bots.release(this.#botName);
    this.#deps.tenants.release(this.credentials.tenant);
  }

  flushAcks(): void {
    if (!this.#acks) return;
    const { ids, conversationIds, differs } = this.#acks;
    this.#acks = undefined;
    this.#send({ type: 'ack', ids, conversation_ids: conversationIds, ...(differs && { differs }) });
    this.#closeWhenDrained();
  }

  #ping(nowMs: number): void {
    if (this.#signs.awaitsPong && this.#flow.isUnread) {
      this.close(CLOSE_CODES.slow_reader, 'slow reader');
      return;
    }
    // The pong of a socket that is not read, since a limit holds its frames, is not missing.
    if (this.#signs.awaitsPong && this.#flow.isReading) {
      this.close(CLOSE_CODES.no_pong, 'no pong');
      return;
    }
    this.#signs.ping(nowMs);
  }

  #onMessage(frame: RawFrame): void {
    this.#signs.heard();
    if (this.#phase.name === 'open') this.#flow.offer(frame);
    else if (this.#phase.name === 'draining') this.#handle(frame);
  }

  #onControl(): void {
    this.#misuse ??= new Misuse(this.#deps);
    this.#penalize(this.#misuse.control());
  }

  #handle({ data, isBinary }: RawFrame, heldBy?: HeldBy): void {
    if (this.#phase.name === 'closed') return;
    try {
      if (isBinary) {
        this.#refuse(BINARY);
        return;
      }
      const check = validateFrame(data.toString('utf8'), this.#deps.rules, this.credentials);
      if (check.kind === 'refused') this.#refuse(check);
      else if (check.kind === 'ping') this.#send({ type: 'pong' });
      else if (check.kind === 'message') {
        for (const repair of check.repairs) this.#deps.metrics.repaired.inc({ repair });
        this.#take(check.message, heldBy);
      }
    } catch (error) {
      // A fault of the gateway costs one session, not all of them.
      this.#deps.log.error({ session: this.id, err: messageOf(error) }, 'a frame could not be handled');
      this.close(1011, 'internal error');
    }
  }

  #take(valid: ValidMessage, heldBy: HeldBy | undefined): void {
    const { intake, clock } = this.#deps;
    const { id, conversationId } = valid;
    if (this.#phase.name === 'draining') {
      this.#postpone(valid, SHUTTING_DOWN);
      return;
    }
    if (heldBy !== undefined) {
      const { limits } = this.#deps.rules;
      this.#postpone(valid, heldBackBy(heldBy, { ...limits, ...this.#deps.rates.announced(this.credentials) }));
      return;
    }
    const startedMs = clock.monotonicMs();
    if (this.#order?.isDue(conversationId, id, startedMs) === false) {
      this.#postpone(valid, BEHIND_ANOTHER);
      return;
    }
    const acceptance = intake.accept(this.credentials, valid, clock.now(), {
      replyTo: this.#replyTo,
      acked: () => this.#safe(valid, startedMs, acceptance),
      unavailable: () => this.#unavailable(valid),
      refused: (_, refusal) => this.#refused({ kind: 'refused', id, conversationId, ...refusal }),
    });
    this.#accepted(valid, acceptance, startedMs);
  }

  #accepted(valid: ValidMessage, acceptance: Acceptance, nowMs: number): void {
    if (acceptance.kind === 'overloaded') {
      this.#postpone(valid, overloadedBy(acceptance));
      return;
    }
    if (acceptance.kind === 'unavailable') {
      this.#postpone(valid, KAFKA_AWAY);
      return;
    }
    this.#misuse?.forgive();
    this.#order?.taken(valid.conversationId, valid.id, nowMs);
    if (acceptance.kind === 'known') {
      this.#deps.metrics.message('duplicate');
      this.#queueAck(valid, acceptance.differs);
    } else this.#inFlight += 1;
  }

  #safe(valid: ValidMessage, startedMs: number, acceptance: Acceptance): boolean {
    const { metrics, clock } = this.#deps;
    this.#inFlight -= 1;
    metrics.message(acceptance.kind === 'joined' ? 'joined' : 'acked');
    metrics.ackSeconds.observe((clock.monotonicMs() - startedMs) / 1_000);
    this.#queueAck(valid, acceptance.kind === 'joined' && acceptance.differs);
    this.#flow.poke();
    return this.#phase.name !== 'closed';
  }

  #unavailable(valid: ValidMessage): void {
    this.#inFlight -= 1;
    this.#postpone(valid, NOT_ACKED);
    this.#flow.poke();
    this.#closeWhenDrained();
  }

  #refused(refusal: Refusal): void {
    this.#inFlight -= 1;
    this.#refuse(refusal);
    this.#flow.poke();
    this.#closeWhenDrained();
  }

  #queueAck({ id, conversationId }: ValidMessage, differs: boolean): void {
    if (this.#phase.name === 'closed') return;
    if (!this.#acks) {
      this.#acks = { ids: [], conversationIds: [] };
      this.#deps.acks.mark(this);
    }
    this.#acks.ids.push(id);
    this.#acks.conversationIds.push(conversationId);
    if (!differs) return;
    this.#acks.differs ??= [];
    this.#acks.differs.push(id);
  }

  #closeWhenDrained(): void {
    if (this.#phase.name !== 'draining' || !this.#phase.letGo) return;
    if (this.#inFlight > 0 || this.#acks) return;
    this.close(CLOSE_CODES.restart, 'restart');
  }

  #postpone({ id, conversationId }: ValidMessage, { code, retryMs, message }: Postponement): void {
    const { metrics, clock, random } = this.#deps;
    metrics.message(code);
    // All of a session's messages go over its next one: there is nothing to spread.
    const retryAfterMs = code === 'shutting_down' ? retryMs : Math.ceil(retryMs * (0.5 + random()));
    if (code !== 'shutting_down') {
      this.#order ??= new ConversationOrder();
      this.#order.refused(conversationId, id, retryAfterMs, clock.monotonicMs());
    }
    this.#send({ type: 'nack', id, conversation_id: conversationId, code, message, retry_after_ms: retryAfterMs });
  }

  #refuse({ id, conversationId, code, message }: Refusal): void {
    this.#deps.metrics.message(code);
    const where = conversationId === undefined ? {} : { conversation_id: conversationId };
    if (id === undefined) this.#send({ type: 'error', code, message });
    else this.#send({ type: 'nack', id, ...where, code, message });
    this.#misuse ??= new Misuse(this.#deps);
    this.#penalize(this.#misuse.refused(id === undefined || isNoMessage(code)));
  }

  #penalize(penalty: Penalty): void {
    if (penalty === 'none' || this.#phase.name !== 'open') return;
    if (penalty === 'too_many_malformed') this.close(CLOSE_CODES.too_many_malformed, 'too many malformed frames');
    else if (penalty === 'too_many_refused') this.close(CLOSE_CODES.too_many_refused, 'too many refused frames');
    else {
      this.#flow.stop('misuse');
      setTimeout(() => this.#flow.go('misuse'), PAUSE_MS).unref();
    }
  }

  #send(frame: object): void {
    this.outbox.send(JSON.stringify(frame));
  }
}

const BINARY: Refusal = {
  kind: 'refused',
  id: undefined,
  conversationId: undefined,
  code: 'malformed',
  message: 'the frame is binary; allowed is one JSON object a text frame',
};

const isNoMessage = (code: NackCode): boolean => code === 'malformed' || code === 'unknown_type';
