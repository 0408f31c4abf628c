import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import type { ConnectionPlaces, PlaceLimits, PlaceRefusal } from '../limits/connection-places.ts';
import { TokenBucket } from '../limits/token-bucket.ts';
import type { Authenticate, Credentials } from './auth.ts';
import { readHandshake } from './handshake.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';

export interface HandshakeAdmissionOptions {
  readonly authenticate: Authenticate;
  readonly allowedOrigins: readonly string[];
  readonly places: ConnectionPlaces;
  /** Handshakes a second of this process. */
  readonly connectionsPerS: number;
  /** Limits of all processes together, named in refusals. */
  readonly placeLimits: PlaceLimits;
  readonly clock: Clock;
}

/** A handshake that becomes a session. */
export interface AdmittedHandshake {
  readonly credentials: Credentials;
  /** Whether the insights of its messages come back to it. */
  readonly insights: boolean;
}

/** Decides which handshakes become sessions. The cheapest check comes first, so that a flood of handshakes costs little. */
export class HandshakeAdmission {
  readonly #options: HandshakeAdmissionOptions;
  readonly #rate: TokenBucket;
  #isShut = false;

  constructor(options: HandshakeAdmissionOptions) {
    this.#options = options;
    const { connectionsPerS, clock } = options;
    this.#rate = new TokenBucket(connectionsPerS, connectionsPerS, clock.monotonicMs());
  }

  /** From now on every handshake is refused with `draining`. */
  shut(): void {
    this.#isShut = true;
  }

  /**
   * Takes a place for the socket, and gives it back when the socket closes.
   *
   * @throws {HandshakeRefusal}
   */
  async admit(request: IncomingMessage, socket: Duplex): Promise<AdmittedHandshake> {
    const { allowedOrigins, authenticate, places } = this.#options;
    this.#refuseWhenShut();
    const { token, insights } = readHandshake(request, allowedOrigins);
    this.#countHandshake();
    if (places.isFull) throw this.#noPlace('too_many_connections');
    const credentials = await authenticate(token);
    const refusal = await places.enter(credentials);
    if (refusal) throw this.#noPlace(refusal);
    if (socket.destroyed) places.leave(credentials);
    else socket.once('close', () => places.leave(credentials));
    this.#refuseWhenShut();
    return { credentials, insights };
  }

  #refuseWhenShut(): void {
    if (this.#isShut) throw new HandshakeRefusal('draining', 'this gateway is shutting down');
  }

  #countHandshake(): void {
    const { connectionsPerS, clock } = this.#options;
    if (this.#rate.available(clock.monotonicMs()) >= 1) {
      this.#rate.take();
      return;
    }
    const message = 'more connections are opened a second than this gateway takes';
    throw new HandshakeRefusal('connection_rate', message, undefined, { quota: connectionsPerS, windowS: 1 });
  }

  #noPlace(code: PlaceRefusal): HandshakeRefusal {
    const { connections, tenantConnections } = this.#options.placeLimits;
    const quota = code === 'too_many_connections' ? connections : tenantConnections;
    const whose = code === 'too_many_connections' ? 'this gateway has' : 'the bots of this tenant have';
    return new HandshakeRefusal(code, `${whose} ${quota} connections already`, undefined, { quota });
  }
}
