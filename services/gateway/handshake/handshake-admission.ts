import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import type { ConnectionPlaces, PlaceLimits, PlaceRefusal } from '../limits/connection-places.ts';
import { BucketTable, TokenBucket } from '../limits/token-bucket.ts';
import type { Authenticate, Credentials } from './auth.ts';
import { headerToken, readHandshake } from './handshake.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

export interface HandshakeAdmissionOptions {
  readonly authenticate: Authenticate;
  readonly allowedOrigins: readonly string[];
  /** Where requests come from. */
  readonly proxies: TrustedProxies;
  readonly places: ConnectionPlaces;
  /** Handshakes a second of this process. */
  readonly connectionsPerS: number;
  /** Failed handshakes a second of one source, in this process; ten times as many at once. */
  readonly failuresPerS: number;
  /** Limits of all processes together, named in refusals. */
  readonly placeLimits: PlaceLimits;
  readonly clock: Clock;
}

/** A handshake that becomes a session. */
export interface AdmittedHandshake {
  readonly credentials: Credentials;
  /** Whether the insights of its messages come back to it. */
  readonly insights: boolean;
  /** Earlier sessions whose insights it takes over; undefined where its client does not say. */
  readonly resumes: readonly string[] | undefined;
  /** Gives its place back before its socket closes, where another session is to follow it. */
  readonly giveUpPlace: () => void;
}

/** Failures at once, in seconds of their rate: a fleet whose tokens expire together comes back within it. */
const FAILURE_BURST_S = 10;

/**
 * Decides which handshakes become sessions. The cheapest check comes first, so that a flood of handshakes costs little.
 *
 * Half of the handshakes a second are kept for sources that have not failed too often: junk tokens of a few sources can
 * use up the other half alone. A source is not refused for its failures while there is room, since behind a proxy or a
 * NAT good bots share their address with bad ones.
 */
export class HandshakeAdmission {
  readonly #options: HandshakeAdmissionOptions;
  readonly #rate: TokenBucket;
  readonly #failures: BucketTable;
  #isShut = false;
  #isAnnounced = false;

  constructor(options: HandshakeAdmissionOptions) {
    this.#options = options;
    const { connectionsPerS, failuresPerS, clock } = options;
    this.#failures = new BucketTable({ perSecond: failuresPerS, burst: failuresPerS * FAILURE_BURST_S, clock });
    this.#rate = new TokenBucket(connectionsPerS, connectionsPerS, clock.monotonicMs());
  }

  /** From now on it is known that it will shut. */
  announceShut(): void {
    this.#isAnnounced = true;
  }

  /** From now on every handshake is refused with `draining`. */
  shut(): void {
    this.#isAnnounced = true;
    this.#isShut = true;
  }

  /**
   * Takes a place for the socket, and gives it back when the socket closes.
   *
   * @throws {HandshakeRefusal}
   */
  async admit(request: IncomingMessage, socket: Duplex): Promise<AdmittedHandshake> {
    const { places } = this.#options;
    const { credentials, insights, resumes } = await this.#authenticate(request);
    const refusal = await places.enter(credentials);
    if (refusal) throw this.#noPlace(refusal);
    let isHeld = true;
    const giveUpPlace = () => {
      if (isHeld) places.leave(credentials);
      isHeld = false;
    };
    if (socket.destroyed) giveUpPlace();
    else socket.once('close', giveUpPlace);
    this.#refuseWhenShut();
    return { credentials, insights, resumes, giveUpPlace };
  }

  /**
   * Checks a plain HTTP request, which takes no place.
   *
   * @throws {HandshakeRefusal}
   */
  async admitRequest(request: IncomingMessage): Promise<Credentials> {
    return await this.#charged(request, async (failsOften) => {
      const token = headerToken(request);
      if (token === undefined) {
        throw new HandshakeRefusal('token_missing', 'a token is required: Authorization: Bearer <token>');
      }
      this.#countHandshake(failsOften);
      return await this.#options.authenticate(token);
    });
  }

  /** @throws {HandshakeRefusal} when no further connection would get a place. */
  checkPlace(): void {
    if (this.#options.places.isFull) throw this.#noPlace('too_many_connections');
  }

  /** The address that a request is counted against; of IPv6 the /64. */
  sourceOf(request: IncomingMessage): string {
    return this.#options.proxies.sourceOf(request);
  }

  /** Whether it is shut or about to be. */
  get isLeaving(): boolean {
    return this.#isAnnounced;
  }

  #authenticate(request: IncomingMessage): Promise<Omit<AdmittedHandshake, 'giveUpPlace'>> {
    const { allowedOrigins, authenticate } = this.#options;
    return this.#charged(request, async (failsOften) => {
      const { token, ...asked } = readHandshake(request, allowedOrigins);
      this.#countHandshake(failsOften);
      this.checkPlace();
      return { credentials: await authenticate(token), ...asked };
    });
  }

  /** A failure is charged to the request's source. */
  async #charged<T>(request: IncomingMessage, admit: (failsOften: boolean) => Promise<T>): Promise<T> {
    const { clock, proxies } = this.#options;
    this.#refuseWhenShut();
    const failures = this.#failures.peek(proxies.sourceOf(request));
    const failsOften = failures.available(clock.monotonicMs()) < 1;
    try {
      return await admit(failsOften);
    } catch (error) {
      // Below zero a source would need as long to be forgiven as it kept failing.
      if (error instanceof HandshakeRefusal && error.isFailure && !failsOften) failures.take();
      throw error;
    }
  }

  #refuseWhenShut(): void {
    if (this.#isShut) throw new HandshakeRefusal('draining', 'this gateway is shutting down');
  }

  #countHandshake(failsOften: boolean): void {
    const { connectionsPerS, failuresPerS, clock } = this.#options;
    const kept = failsOften ? connectionsPerS / 2 : 0;
    if (this.#rate.available(clock.monotonicMs()) >= 1 + kept) {
      this.#rate.take();
      return;
    }
    if (failsOften) {
      const message = 'too many handshakes from this address have failed, and many more are waiting';
      const limit = { quota: failuresPerS, windowS: 1 };
      throw new HandshakeRefusal('too_many_failed_handshakes', message, undefined, limit);
    }
    const message = 'more connections are opened a second than this gateway takes';
    throw new HandshakeRefusal('connection_rate', message, undefined, { quota: connectionsPerS, windowS: 1 });
  }

  #noPlace(code: PlaceRefusal): HandshakeRefusal {
    const { connections, tenantConnections, botConnections } = this.#options.placeLimits;
    const [quota, whose] = {
      too_many_connections: [connections, 'this gateway has'] as const,
      too_many_tenant_connections: [tenantConnections, 'the bots of this tenant have'] as const,
      too_many_bot_connections: [botConnections, 'this bot has'] as const,
    }[code];
    return new HandshakeRefusal(code, `${whose} ${quota} connections already`, undefined, { quota });
  }
}
