import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import type { Admission, AdmissionRefusal, PlaceLimits } from '../limits/admission.ts';
import { TokenBucket } from '../limits/token-bucket.ts';
import type { Authenticate, Grant } from './auth.ts';
import { readHandshake } from './handshake.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';

export interface DoorOptions {
  readonly authenticate: Authenticate;
  readonly allowedOrigins: readonly string[];
  readonly admission: Admission;
  /** Of this process. */
  readonly connectionsPerS: number;
  /** Of all processes together, as they are told to those who are refused. */
  readonly places: PlaceLimits;
  readonly clock: Clock;
}

/** Who came in, and what for. */
export interface Visitor {
  readonly grant: Grant;
  /** Whether the insights of its messages are to come back to it. */
  readonly insights: boolean;
}

/** Decides who may come in: what costs least is asked first, so that a flood of handshakes costs little. */
export class Door {
  readonly #options: DoorOptions;
  readonly #rate: TokenBucket;
  #isShut = false;

  constructor(options: DoorOptions) {
    this.#options = options;
    const { connectionsPerS, clock } = options;
    this.#rate = new TokenBucket(connectionsPerS, connectionsPerS, clock.monotonicMs());
  }

  /** From now on everyone is refused with `draining`. */
  shut(): void {
    this.#isShut = true;
  }

  /**
   * Takes a place for the socket, which is given back when the socket closes, whatever becomes of it.
   *
   * @throws {HandshakeRefusal}
   */
  async admit(request: IncomingMessage, socket: Duplex): Promise<Visitor> {
    const { allowedOrigins, authenticate, admission } = this.#options;
    this.#refuseWhenShut();
    const { token, insights } = readHandshake(request, allowedOrigins);
    this.#countHandshake();
    if (admission.isFull) throw this.#noPlace('too_many_connections');
    const grant = await authenticate(token);
    const refusal = await admission.enter(grant);
    if (refusal) throw this.#noPlace(refusal);
    if (socket.destroyed) admission.leave(grant);
    else socket.once('close', () => admission.leave(grant));
    this.#refuseWhenShut();
    return { grant, insights };
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
    const told = 'more connections are opened a second than this gateway takes';
    throw new HandshakeRefusal('connection_rate', told, undefined, { quota: connectionsPerS, windowS: 1 });
  }

  #noPlace(code: AdmissionRefusal): HandshakeRefusal {
    const { connections, tenantConnections } = this.#options.places;
    const quota = code === 'too_many_connections' ? connections : tenantConnections;
    const whose = code === 'too_many_connections' ? 'this gateway has' : 'the bots of this tenant have';
    return new HandshakeRefusal(code, `${whose} ${quota} connections already`, undefined, { quota });
  }
}
