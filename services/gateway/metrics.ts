import type { HandshakeCode, NackCode } from '../core/wire-codes.ts';
import { LATENCY_BUCKETS_S, type Metrics } from '../platform/metrics.ts';
import type { Revoked } from './handshake/revocation.ts';
import type { Share } from './limits/memory-shares.ts';
import type { FrameRepair } from './session/frame-normalizer.ts';

/** Outcome of a frame: acked after Kafka's ack, known from before, joined to one in flight, or refused. */
export type MessageResult = 'acked' | 'duplicate' | 'joined' | NackCode;

/** `dropped`: closed before its first byte, since the process has no file left for it. */
export type HandshakeResult = HandshakeCode | 'accepted' | 'dropped';

export interface Readings {
  readonly connections: () => number;
  readonly inFlight: () => number;
  readonly unsentBytes: () => number;
}

/** The gateway's own metrics. Labels are closed lists: no tenant, bot or id is ever one. */
export class GatewayMetrics {
  readonly #messages: (result: MessageResult) => void;
  readonly #handshakes: (result: HandshakeResult) => void;
  readonly #closes: (code: string) => void;
  readonly ackSeconds: { observe(seconds: number): void };
  readonly clamped: { inc(): void };
  readonly repaired: { inc(labels: { repair: FrameRepair }): void };
  readonly #ended: { inc(labels: { reason: Revoked | 'operator' }): void };
  readonly #departed: { inc(labels: { end: 'left' | 'closed' }): void };
  readonly #shares: { inc(labels: { what: 'unsent' | 'pending'; share: Share }): void };
  readonly #denyFileProblems: { inc(): void };
  readonly #denyRedisFailures: { inc(labels: { why: 'away' | 'unusable' }): void };
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    // Counts are handed over at a scrape: finding a labelled series costs half a microsecond.
    const counts = new Map<MessageResult, number>();
    metrics.counter('parley_gateway_messages_total', 'Frames by outcome', ['result'], (counter) => {
      for (const [result, count] of counts) counter.inc({ result }, count);
    });
    const handshakes = metrics.counter('parley_gateway_handshakes_total', 'Handshakes by result', ['result']);
    const closes = metrics.counter('parley_gateway_closes_total', 'Sockets closed, by our close code or peer', [
      'code',
    ]);
    this.#ended = metrics.counter(
      'parley_gateway_sessions_ended_total',
      'Sessions ended or sent away: token_revoked, access_denied, key_withdrawn, operator',
      ['reason'],
    );
    this.#departed = metrics.counter(
      'parley_gateway_goaways_total',
      'Sessions that were sent away: they left for their next one, or were closed without',
      ['end'],
    );
    this.#shares = metrics.counter(
      'parley_gateway_shares_used_up_total',
      'Sockets closed (unsent) and messages refused (pending) since a bot or a tenant held its share of these bytes',
      ['what', 'share'],
    );
    this.#denyFileProblems = metrics.counter(
      'parley_gateway_deny_file_problems_total',
      'Changes of DENY_FILE that could not be used; what was read before still counts',
    );
    this.#denyRedisFailures = metrics.counter(
      'parley_gateway_deny_redis_failures_total',
      'Looks at the deny list in Redis that gave none: Redis away, or a list that cannot be used',
      ['why'],
    );
    this.#messages = (result) => counts.set(result, (counts.get(result) ?? 0) + 1);
    this.#handshakes = (result) => handshakes.inc({ result });
    this.#closes = (code) => closes.inc({ code });
    this.ackSeconds = metrics.tallied(
      'parley_gateway_ack_seconds',
      'From reading a frame to writing its ack',
      LATENCY_BUCKETS_S,
    );
    this.repaired = metrics.counter(
      'parley_gateway_repaired_total',
      'Messages that were taken although a part had to be changed',
      ['repair'],
    );
    this.clamped = metrics.counter('parley_gateway_sent_at_clamped_total', 'Messages whose sent_at was moved');
  }

  /** A bot or a tenant would have held more than its share: unsent bytes cost a socket, pending ones a message's nack. */
  shareUsedUp(what: 'unsent' | 'pending', share: Share): void {
    this.#shares.inc({ what, share });
  }

  /** Sessions that ended for another reason than their peer's behaviour. */
  ended(reason: Revoked | 'operator'): void {
    this.#ended.inc({ reason });
  }

  /** A session that was sent away has ended: by its client, or by us. */
  departed(end: 'left' | 'closed'): void {
    this.#departed.inc({ end });
  }

  denyRedisFailure(why: 'away' | 'unusable'): void {
    this.#denyRedisFailures.inc({ why });
  }

  denyFileProblem(): void {
    this.#denyFileProblems.inc();
  }

  /** Gauges that are read at each scrape. */
  watch({ connections, inFlight, unsentBytes }: Readings): void {
    this.#metrics.gauge('parley_gateway_connections', 'Open sockets', [], (gauge) => gauge.set(connections()));
    this.#metrics.gauge('parley_gateway_unsent_bytes', 'Bytes that readers have not read yet', [], (gauge) =>
      gauge.set(unsentBytes()),
    );
    this.#metrics.gauge('parley_gateway_in_flight', 'Records that wait for Kafka', [], (gauge) =>
      gauge.set(inFlight()),
    );
  }

  message(result: MessageResult): void {
    this.#messages(result);
  }

  handshake(result: HandshakeResult): void {
    this.#handshakes(result);
  }

  /** @param code our close code, or `peer` where the other side ended it. */
  closed(code: number | 'peer'): void {
    this.#closes(String(code));
  }
}
