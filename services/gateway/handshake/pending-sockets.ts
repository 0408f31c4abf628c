import type { Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import { sourceOf } from './source.ts';

export interface PendingSocketsOptions {
  /** Sockets without a session that may be open at once; at one more the source with the most of them loses its oldest. */
  readonly max: number;
  /** Milliseconds that a socket may stay without a session. */
  readonly maxAgeMs: number;
  readonly clock: Clock;
  /** Called for each socket that is destroyed for one of these bounds. */
  readonly onDropped: () => void;
}

interface Entry {
  readonly source: string;
  readonly openedAtMs: number;
  /** A whole request of it is being answered: its time is bounded by the answer's own limits. */
  readonly isBusy: boolean;
}

/**
 * The TCP connections that are no session: before and during the handshake, and after a refusal until both sides have
 * closed. All are bounded in number and time, whatever their peers do. Node bounds a request's head alone; an upgraded
 * socket that is refused with `end()` would live until its peer closes it.
 */
export class PendingSockets {
  readonly #options: PendingSocketsOptions;
  /** In the order of opening, so that the oldest come first. */
  readonly #entries = new Map<Socket, Entry>();
  readonly #bySource = new Map<string, Set<Socket>>();

  constructor(options: PendingSocketsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @param address where it comes from, where that is another than its own */
  add(socket: Socket, address = socket.remoteAddress): void {
    const source = sourceOf(address);
    this.#entries.set(socket, { source, openedAtMs: this.#options.clock.monotonicMs(), isBusy: false });
    const same = this.#bySource.get(source);
    if (same) same.add(socket);
    else this.#bySource.set(source, new Set([socket]));
    socket.once('close', () => this.remove(socket));
    if (this.#entries.size > this.#options.max) this.#dropFromHeaviest();
  }

  /** The socket has become a session, or is closed. */
  remove(socket: Socket): void {
    const entry = this.#entries.get(socket);
    if (!entry) return;
    this.#entries.delete(socket);
    const same = this.#bySource.get(entry.source);
    same?.delete(socket);
    if (same?.size === 0) this.#bySource.delete(entry.source);
  }

  /** A request has come on the connection (`isBusy`), or is answered: it may wait for the next one as for the first. */
  renew(socket: Socket, isBusy: boolean): void {
    const entry = this.#entries.get(socket);
    if (!entry) return;
    this.#entries.delete(socket);
    this.#entries.set(socket, { ...entry, isBusy, openedAtMs: this.#options.clock.monotonicMs() });
  }

  /** Destroys the sockets that have been without a session for too long. Called about once a second. */
  sweep(): void {
    const { clock, maxAgeMs } = this.#options;
    const oldestMs = clock.monotonicMs() - maxAgeMs;
    for (const [socket, { openedAtMs, isBusy }] of this.#entries) {
      if (openedAtMs > oldestMs) return;
      if (!isBusy) this.#drop(socket);
    }
  }

  destroyAll(): void {
    for (const socket of this.#entries.keys()) socket.destroy();
  }

  /** An honest handshake lasts milliseconds, so the oldest socket of the source with the most is the least honest one. */
  #dropFromHeaviest(): void {
    let heaviest: Set<Socket> | undefined;
    for (const sockets of this.#bySource.values()) {
      if (sockets.size > (heaviest?.size ?? 0)) heaviest = sockets;
    }
    const [oldest] = heaviest ?? [];
    if (oldest) this.#drop(oldest);
  }

  #drop(socket: Socket): void {
    this.#options.onDropped();
    this.remove(socket);
    socket.destroy();
  }
}
