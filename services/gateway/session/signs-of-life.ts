import type { WebSocket } from 'ws';
import type { Clock } from '../../core/clock.ts';

export interface SignsOfLifeOptions {
  readonly socket: Pick<WebSocket, 'ping'>;
  readonly clock: Clock;
  readonly pingIntervalMs: number;
  /** Bytes that were read from the connection so far. */
  readonly bytesRead: () => number;
}

/** What is known of the peer by what came from it: when the last whole frame did, and whether it answers pings. */
export class SignsOfLife {
  readonly #options: SignsOfLifeOptions;
  /** Milliseconds since the epoch. */
  #heardAt = 0;
  #isProbed = false;
  /** Bytes read when the last whole frame came. */
  #readUntil = 0;
  #nextPingAtMs: number;
  #awaitsPong = false;

  constructor(options: SignsOfLifeOptions) {
    this.#options = options;
    this.#nextPingAtMs = options.clock.monotonicMs() + options.pingIntervalMs;
  }

  /** Bytes of a frame that is not whole yet. */
  get unfinishedBytes(): number {
    return this.#options.bytesRead() - this.#readUntil;
  }

  /** The last ping has not been answered. */
  get awaitsPong(): boolean {
    return this.#awaitsPong;
  }

  /** A whole frame came, of whatever kind. */
  heard(): void {
    this.#readUntil = this.#options.bytesRead();
    this.#heardAt = this.#options.clock.now();
    this.#isProbed = false;
  }

  ponged(): void {
    this.heard();
    this.#awaitsPong = false;
  }

  /** Whether anything came since then (ms since the epoch); if not, the peer is pinged, once until it is heard. */
  heardSince(ms: number): boolean {
    if (this.#heardAt >= ms) return true;
    if (!this.#isProbed) this.#options.socket.ping();
    this.#isProbed = true;
    return false;
  }

  isPingDue(nowMs: number): boolean {
    return nowMs >= this.#nextPingAtMs;
  }

  ping(nowMs: number): void {
    this.#awaitsPong = true;
    this.#nextPingAtMs = nowMs + this.#options.pingIntervalMs;
    this.#options.socket.ping();
  }
}
