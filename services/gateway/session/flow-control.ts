import type { WebSocket } from 'ws';
import type { Clock } from '../../core/clock.ts';
import type { Bucket } from '../limits/token-bucket.ts';

/** A frame as it came from the socket. */
export interface RawFrame {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

/** The limit for which a frame could not be taken in time. */
export type HeldBy = 'bot' | 'tenant' | 'in_flight';

/** Reasons not to read a socket: held frames, a peer that does not read, misuse. */
const STOPS = { held: 1, unread: 2, misuse: 4 } as const;
export type Stop = keyof typeof STOPS;

export interface FlowControlOptions {
  readonly socket: Pick<WebSocket, 'pause' | 'resume'>;
  readonly bot: Bucket;
  readonly tenant: Bucket;
  readonly clock: Clock;
  readonly maxInFlight: number;
  readonly inFlight: () => number;
  /** A frame costs one message for each of these that it begins: what is large is dear to parse. */
  readonly bytesPerMessage: number;
  /** Takes a frame that has been paid for; or, with `heldBy`, one that no limit let through for too long. */
  readonly take: (frame: RawFrame, heldBy?: HeldBy) => void;
}

/** Beside a token's own time: several frames for one timer. */
const MIN_WAIT_MS = 20;
const MAX_WAIT_MS = 500;
/** Without one frame let through for so long, those that are held are refused: their sender should know. */
const MAX_STALL_MS = 5_000;

/**
 * Lets the frames of one socket through in their order, each paid for before it is parsed. A frame that a limit does
 * not allow yet is held, and the socket is not read meanwhile: TCP pushes back, and no message overtakes another. Held
 * are at most the frames of what Node had read already (64 KiB) and the frame that was being read.
 */
export class FlowControl {
  readonly #options: FlowControlOptions;
  #held: RawFrame[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #letThroughAtMs = 0;
  /** Bits of {@link STOPS}: why the socket is not read. */
  #stops = 0;
  #open = true;

  constructor(options: FlowControlOptions) {
    this.#options = options;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether the socket is read, so that a pong could be seen. */
  get isReading(): boolean {
    return this.#stops === 0;
  }

  /** The peer does not read what it is sent. */
  get isUnread(): boolean {
    return (this.#stops & STOPS.unread) !== 0;
  }

  offer(frame: RawFrame): void {
    if (this.#held.length === 0 && !(this.#stops & STOPS.misuse) && this.#pay(frame) === undefined) {
      this.#options.take(frame);
      return;
    }
    if (this.#held.length === 0) this.#letThroughAtMs = this.#options.clock.monotonicMs();
    this.#held.push(frame);
    this.#heldBytes += frame.data.length;
    this.stop('held');
    this.#schedule();
  }

  /** A message was settled: a frame that waited for its place may go on. */
  poke(): void {
    if (this.#held.length > 0) this.#run();
  }

  /** The socket is not read until `go` with the same reason. */
  stop(reason: Stop): void {
    if (this.#stops === 0) this.#options.socket.pause();
    this.#stops |= STOPS[reason];
  }

  go(reason: Stop): void {
    if (!(this.#stops & STOPS[reason])) return;
    this.#stops &= ~STOPS[reason];
    if (reason === 'misuse') this.#run();
    if (this.#stops === 0 && this.#open) this.#options.socket.resume();
  }

  /** From now on frames are let through unpaid: they are refused anyway. */
  release(): void {
    for (const frame of this.#takeHeld()) this.#options.take(frame);
    this.go('held');
    this.go('misuse');
  }

  /** The session has ended; what is held is dropped. */
  close(): void {
    this.#open = false;
    this.#takeHeld();
  }

  #takeHeld(): RawFrame[] {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    return held;
  }

  #schedule(): void {
    if (this.#timer || this.#stops & STOPS.misuse) return;
    const heldBy = this.#limitFor();
    const { bot, tenant } = this.#options;
    const waitMs = heldBy === 'bot' ? bot.refuse() : heldBy === 'tenant' ? tenant.refuse() : MAX_WAIT_MS;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#run();
      },
      Math.max(MIN_WAIT_MS, Math.min(MAX_WAIT_MS, waitMs)),
    );
  }

  #run(): void {
    const { clock, take } = this.#options;
    for (let frame = this.#held[0]; frame && !(this.#stops & STOPS.misuse); frame = this.#held[0]) {
      const heldBy = this.#pay(frame);
      const nowMs = clock.monotonicMs();
      if (heldBy !== undefined && nowMs - this.#letThroughAtMs < MAX_STALL_MS) break;
      if (heldBy === undefined) this.#letThroughAtMs = nowMs;
      this.#held.shift();
      this.#heldBytes -= frame.data.length;
      take(frame, heldBy);
    }
    if (this.#held.length > 0) this.#schedule();
    else this.go('held');
  }

  #limitFor(): HeldBy | undefined {
    const { bot, tenant, clock, maxInFlight, inFlight } = this.#options;
    const nowMs = clock.monotonicMs();
    if (inFlight() >= maxInFlight) return 'in_flight';
    if (bot.available(nowMs) < 1) return 'bot';
    return tenant.available(nowMs) < 1 ? 'tenant' : undefined;
  }

  /** @returns the limit that does not allow it yet. */
  #pay({ data }: RawFrame): HeldBy | undefined {
    const heldBy = this.#limitFor();
    if (heldBy !== undefined) return heldBy;
    const { bot, tenant, bytesPerMessage } = this.#options;
    const price = Math.ceil((data.length || 1) / bytesPerMessage);
    bot.take(price);
    tenant.take(price);
    return undefined;
  }
}
