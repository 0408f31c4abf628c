import type { Clock } from '../../core/clock.ts';
import type { Speaker } from '../../core/wire-codes.ts';
import { botIndexOf } from '../../operator/bots.ts';
import { isLeftOut, type LeftOut, LeftOutCount } from '../../operator/chat-file/left-out.ts';
import type { ChatLine } from '../../operator/chat-line.ts';
import { LatencyHistogram } from '../../operator/latency-histogram.ts';

/** A `message` frame but for its type. */
export interface MessageToSend {
  readonly id: string;
  readonly conversation_id: string;
  readonly speaker: Speaker;
  readonly text: string;
  readonly sent_at: number;
  readonly user_id?: string;
  readonly channel?: string;
  readonly bot_version?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** One bot's connection: resolves when the message is acked, rejects with an error that has a `code` when refused. */
interface BotConnection {
  send(message: MessageToSend): Promise<void>;
}

export interface SendOptions {
  readonly bots: readonly BotConnection[];
  /** Put before every id: what makes a second run's messages new ones, or the same ones. */
  readonly runId: string;
  /** An earlier run may have sent the same messages: each is marked as a resend, so that it counts once. */
  readonly mayRepeat: boolean;
  /** Messages a second; null for as fast as they are acked. */
  readonly ratePerS: number | null;
  readonly limit: number;
  /** Send the file's own times where it has them, else the time of sending. */
  readonly keepTimes: boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface SendCounts {
  /** Handed to a connection; each ends as acked or refused. */
  sent: number;
  acked: number;
  /** By code of the gateway or the client. */
  refused: Record<string, number>;
}

/** In flight a bot: below the gateway's window of 256, so that it is no reason for a refusal. */
const BOT_WINDOW = 64;
/** In flight altogether, which also bounds memory. */
const TOTAL_WINDOW = 4_096;
/** The gateway's default for how far back a bot's times may be. */
const DAY_MS = 86_400_000;

/**
 * Deals messages out to bots: a conversation always to the same one, in the order of the file. Reads no further than
 * the windows allow.
 */
export class Sender {
  readonly counts: SendCounts = { sent: 0, acked: 0, refused: {} };
  readonly leftOut = new LeftOutCount();
  /** Times of the file that were sent and lie more than a day back. */
  oldTimes = 0;
  /** From handing over to ack. */
  readonly ackLatency = new LatencyHistogram();
  readonly #options: SendOptions;
  readonly #inFlight: number[];
  #total = 0;
  #wake: () => void = () => {};

  constructor(options: SendOptions) {
    this.#options = options;
    this.#inFlight = options.bots.map(() => 0);
  }

  /** Ends when everything sent has been acked or refused: at the lines' end, at the limit or at an abort. */
  async run(lines: AsyncIterable<ChatLine | LeftOut> | Iterable<ChatLine | LeftOut>): Promise<void> {
    const { clock, limit, ratePerS, signal } = this.#options;
    const started = clock.monotonicMs();
    for await (const line of lines) {
      if (isLeftOut(line)) {
        this.leftOut.add(line);
        continue;
      }
      if (ratePerS !== null) await this.#until(started + (this.counts.sent * 1_000) / ratePerS);
      const bot = botIndexOf(line.conversation_id, this.#inFlight.length);
      await this.#room(bot);
      if (signal.aborted) break;
      void this.#send(bot, line);
      if (this.counts.sent >= limit) break;
    }
    await this.#settled();
  }

  async #send(bot: number, line: ChatLine): Promise<void> {
    const { bots, clock, keepTimes, runId, mayRepeat } = this.#options;
    this.counts.sent++;
    this.#total++;
    this.#inFlight[bot] = (this.#inFlight[bot] ?? 0) + 1;
    const { sent_at, id, speaker, ...rest } = line;
    const sentAt = keepTimes && sent_at !== null ? sent_at : clock.now();
    if (sentAt < clock.now() - DAY_MS) this.oldTimes += 1;
    const started = clock.monotonicMs();
    try {
      // The speaker is the gateway's to judge, as is every other value.
      const resend = mayRepeat ? { attempt: 2 } : {};
      await bots[bot]?.send({ ...rest, ...resend, id: `${runId}-${id}`, speaker: speaker as Speaker, sent_at: sentAt });
      this.counts.acked++;
      this.ackLatency.record(clock.monotonicMs() - started);
    } catch (error) {
      const code = (error as { code?: string }).code ?? 'failed';
      this.counts.refused[code] = (this.counts.refused[code] ?? 0) + 1;
    } finally {
      this.#total--;
      this.#inFlight[bot] = (this.#inFlight[bot] ?? 0) - 1;
      this.#wake();
    }
  }

  async #room(bot: number): Promise<void> {
    while ((this.#inFlight[bot] ?? 0) >= BOT_WINDOW || this.#total >= TOTAL_WINDOW) await this.#oneSettles();
  }

  async #settled(): Promise<void> {
    while (this.#total > 0) await this.#oneSettles();
  }

  #oneSettles(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Waits for a moment of the schedule; one that has passed is made up for at once. */
  async #until(at: number): Promise<void> {
    const { clock, signal } = this.#options;
    const waitMs = at - clock.monotonicMs();
    if (waitMs < 1 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      signal.addEventListener('abort', done);
    });
  }
}
