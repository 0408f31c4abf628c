import type { WebSocket } from 'ws';

/**
 * Memory of one unsent frame beside its bytes: Node's write request, its buffers and the callback. A reader that stops
 * reading holds thousands of small frames, of which the bytes are the lesser part.
 */
const FRAME_OVERHEAD_BYTES = 512;
/** Above this share of a socket's bound its peer's frames are not read. */
const STOP_READING_SHARE = 0.5;
const READ_AGAIN_SHARE = 0.25;

/** The unsent bytes of all sockets of this process, bounded together: the slowest readers go first. */
export class UnsentBudget {
  readonly #maxBytes: number;
  /** Outboxes with unsent frames alone: few at any time. */
  readonly #waiting = new Set<Outbox>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(outbox: Outbox, bytes: number): void {
    this.#bytes += bytes;
    if (outbox.unsentBytes > 0) this.#waiting.add(outbox);
    else this.#waiting.delete(outbox);
    if (bytes > 0 && this.#bytes > this.#maxBytes) this.#closeLargest();
  }

  /** An outbox gives its bytes back as it is closed, so this ends below the bound with the fewest of them closed. */
  #closeLargest(): void {
    while (this.#bytes > this.#maxBytes) {
      let largest: Outbox | undefined;
      for (const outbox of this.#waiting) if (outbox.unsentBytes > (largest?.unsentBytes ?? 0)) largest = outbox;
      if (!largest) return;
      largest.giveUp();
    }
  }
}

export interface OutboxOptions {
  readonly budget: UnsentBudget;
  /** Unsent bytes of this socket above which it is a slow reader. */
  readonly maxBytes: number;
  /** The socket has too many unsent bytes, for its own bound or for that of the process, and is to be closed. */
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

  /** The process has too many unsent bytes. What is unsent here no longer counts: a closing socket has two seconds left. */
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
