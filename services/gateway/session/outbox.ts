import type { WebSocket } from 'ws';
import type { BotIdentity } from '../../core/bot-identity.ts';
import { MemoryShares, type Share, type ShareSizes } from '../limits/memory-shares.ts';

/**
 * Memory of one unsent frame beside its bytes: Node's write request, its buffers and the callback. A reader that stops
 * reading holds thousands of small frames, of which the bytes are the lesser part.
 */
const FRAME_OVERHEAD_BYTES = 512;
/** Above this share of a socket's bound its peer's frames are not read. */
const STOP_READING_SHARE = 0.5;
const READ_AGAIN_SHARE = 0.25;

export interface UnsentBudgetOptions {
  /** Unsent bytes of all sockets together. */
  readonly maxBytes: number;
  readonly shares: ShareSizes;
  /** A socket is closed for the sake of a share that its bot or its tenant has used up. */
  readonly onShareUsedUp?: (share: Share) => void;
}

/**
 * The unsent bytes of all sockets of this process, bounded together: the slowest readers go first. Before a bot or a
 * tenant has more than its share it loses its own slowest readers, so that nobody else pays for them.
 */
export class UnsentBudget {
  readonly #options: UnsentBudgetOptions;
  readonly #shares: MemoryShares;
  /** Outboxes with unsent frames alone: few at any time. */
  readonly #waiting = new Set<Outbox>();
  #bytes = 0;

  constructor(options: UnsentBudgetOptions) {
    this.#options = options;
    this.#shares = new MemoryShares(options.maxBytes, options.shares);
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(outbox: Outbox, bytes: number): void {
    const { owner } = outbox;
    this.#bytes += bytes;
    this.#shares.add(owner, bytes);
    if (outbox.unsentBytes > 0) this.#waiting.add(outbox);
    else this.#waiting.delete(outbox);
    if (bytes <= 0) return;
    // An outbox gives its bytes back as it is closed, so each of these ends with the fewest of them closed.
    for (let share = this.#shares.exceeded(owner); share !== undefined; share = this.#shares.exceeded(owner)) {
      const isBot = share === 'bot';
      const closed = this.#closeLargest(
        (it) => it.owner.tenant === owner.tenant && (!isBot || it.owner.bot === owner.bot),
      );
      if (!closed) break;
      this.#options.onShareUsedUp?.(share);
    }
    while (this.#bytes > this.#options.maxBytes && this.#closeLargest(() => true));
  }

  /** @returns whether there was one. */
  #closeLargest(among: (outbox: Outbox) => boolean): boolean {
    let largest: Outbox | undefined;
    for (const outbox of this.#waiting) {
      if (outbox.unsentBytes > (largest?.unsentBytes ?? 0) && among(outbox)) largest = outbox;
    }
    largest?.giveUp();
    return largest !== undefined;
  }
}

export interface OutboxOptions {
  readonly budget: UnsentBudget;
  /** Whose socket it is. */
  readonly owner: BotIdentity;
  /** Unsent bytes of this socket above which it is a slow reader. */
  readonly maxBytes: number;
  /** The socket has too many unsent bytes, for its own bound, its owner's share or the process, and is to be closed. */
  readonly onSlow: () => void;
  /** Called with false when the peer's frames should wait for it to read, and with true when it has caught up. */
  readonly onReadable: (readable: boolean) => void;
}

/**
 * What leaves a socket. Unsent frames are counted, against the socket and against the process. Above half its bound the
 * peer's own frames are no longer read, so that TCP pushes back on who sends without reading.
 */
export class Outbox {
  readonly #socket: WebSocket;
  readonly #options: OutboxOptions;
  #unsentBytes = 0;
  #readable = true;
  #isReleased = false;

  constructor(socket: WebSocket, options: OutboxOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  get owner(): BotIdentity {
    return this.#options.owner;
  }

  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /** @returns whether the frame was handed over. */
  send(frame: string): boolean {
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) return false;
    // The usual case: the system took all that was sent before, and takes this at once.
    if (this.#unsentBytes === 0 && socket.bufferedAmount === 0) {
      socket.send(frame);
      return true;
    }
    if (this.#unsentBytes > this.#options.maxBytes) {
      this.#options.onSlow();
      return false;
    }
    const bytes = frame.length + FRAME_OVERHEAD_BYTES;
    // Counted first: a callback may come at once.
    this.#count(bytes);
    socket.send(frame, () => this.#count(-bytes));
    return true;
  }

  /** Answers a ping, unless the answer to an earlier one is not sent yet (RFC 6455 §5.5.3). */
  pong(data: Buffer): void {
    const socket = this.#socket;
    if (this.#unsentBytes === 0 && socket.bufferedAmount === 0 && socket.readyState === socket.OPEN) socket.pong(data);
  }

  /** Its owner or the process has too many unsent bytes. What is unsent here no longer counts: a closing socket has two seconds left. */
  giveUp(): void {
    this.release();
    this.#options.onSlow();
  }

  /** The socket is closed. */
  release(): void {
    this.#isReleased = true;
    const bytes = this.#unsentBytes;
    this.#unsentBytes = 0;
    this.#options.budget.add(this, -bytes);
  }

  #count(bytes: number): void {
    if (this.#isReleased) return;
    const { budget, maxBytes, onReadable } = this.#options;
    this.#unsentBytes += bytes;
    budget.add(this, bytes);
    if (this.#isReleased) return;
    if (this.#readable && this.#unsentBytes > maxBytes * STOP_READING_SHARE) {
      this.#readable = false;
      onReadable(false);
    } else if (!this.#readable && this.#unsentBytes <= maxBytes * READ_AGAIN_SHARE) {
      this.#readable = true;
      onReadable(true);
    }
  }
}
