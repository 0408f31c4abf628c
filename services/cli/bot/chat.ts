import type { Insight } from '../../client/frames.ts';
import type { ParleyClient } from '../../client/parley-client.ts';
import type { Clock } from '../../core/clock.ts';
import type { Speaker } from '../../core/wire-codes.ts';
import { type ChatReport, describeInsight, type Turn } from './transcript.ts';

export interface ChatOptions {
  readonly conversationId: string;
  readonly speaker: Speaker;
  /** How long the last insights are waited for. */
  readonly waitMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

const MAX_TURNS = 1_000;
const ACK_WAIT_MS = 10_000;

interface OpenTurn extends Turn {
  readonly number: number;
  readonly startedMs: number;
}

/** One conversation: a line in, an ack and an insight out. */
export class Chat {
  readonly #client: ParleyClient;
  readonly #options: ChatOptions;
  readonly #refused: Record<string, number> = {};
  /** The last {@link MAX_TURNS}, in order. */
  readonly #turns = new Map<string, OpenTurn>();
  #sent = 0;
  #acked = 0;
  #insights = 0;
  #onChange: (() => void) | undefined;

  constructor(client: ParleyClient, options: ChatOptions) {
    this.#client = client;
    this.#options = options;
    void this.#listen();
  }

  /** Sends line by line until the lines end or the signal is given; then waits for what is still to come. */
  async run(lines: AsyncIterable<string>): Promise<void> {
    const { signal, waitMs } = this.#options;
    for await (const line of lines) {
      if (signal.aborted) break;
      await this.#client.room();
      if (line.trim() !== '') this.#send(line);
    }
    await this.#until(() => this.#settled === this.#sent, ACK_WAIT_MS);
    if (!signal.aborted) await this.#until(() => this.#insights === this.#acked, waitMs);
  }

  report(url: string): ChatReport {
    return {
      url,
      conversation_id: this.#options.conversationId,
      sent: this.#sent,
      acked: this.#acked,
      refused: this.#refused,
      insights: this.#insights,
      interrupted: this.#options.signal.aborted,
      messages: [...this.#turns.values()].map(({ number: _, startedMs: __, ...turn }) => turn),
    };
  }

  get #settled(): number {
    return this.#acked + Object.values(this.#refused).reduce((sum, count) => sum + count, 0);
  }

  #send(text: string): void {
    const { conversationId, speaker, clock, say } = this.#options;
    this.#sent += 1;
    const turn: OpenTurn = {
      id: `${conversationId}-${this.#sent}`,
      number: this.#sent,
      startedMs: clock.monotonicMs(),
      ack_ms: null,
      refused: null,
      insight_ms: null,
      insight: null,
    };
    this.#turns.set(turn.id, turn);
    for (const oldest of this.#turns.keys()) {
      if (this.#turns.size <= MAX_TURNS) break;
      this.#turns.delete(oldest);
    }
    this.#client.send({ id: turn.id, conversation_id: conversationId, speaker, text }).then(
      () => {
        this.#acked += 1;
        turn.ack_ms = this.#since(turn);
        say(`#${turn.number} acked after ${turn.ack_ms} ms`);
        this.#onChange?.();
      },
      (error: { code: string; message: string }) => {
        this.#refused[error.code] = (this.#refused[error.code] ?? 0) + 1;
        turn.refused = error.code;
        say(`#${turn.number} refused: ${error.code}: ${error.message}`);
        this.#onChange?.();
      },
    );
  }

  async #listen(): Promise<void> {
    for await (const insight of this.#client.insights) this.#onInsight(insight);
  }

  #onInsight(insight: Insight): void {
    const turn = this.#turns.get(insight.id);
    // The insight belongs to another conversation of the same bot, or to a turn of long ago.
    if (!turn || insight.conversation_id !== this.#options.conversationId) return;
    if (!insight.provisional && (turn.insight === null || turn.insight.provisional)) this.#insights += 1;
    turn.insight = insight;
    turn.insight_ms = this.#since(turn);
    this.#options.say(`#${turn.number} ${describeInsight(insight)} after ${turn.insight_ms} ms`);
    this.#onChange?.();
  }

  #since({ startedMs }: OpenTurn): number {
    return Math.round(this.#options.clock.monotonicMs() - startedMs);
  }

  async #until(done: () => boolean, boundMs: number): Promise<void> {
    const { signal } = this.#options;
    const bound = AbortSignal.any([AbortSignal.timeout(boundMs), signal]);
    while (!done() && !bound.aborted) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
        bound.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }
}
