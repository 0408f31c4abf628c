import type { ReadLetter } from './dead-letters.ts';
import { isFailure, type LetterVerdict, type SkipReason } from './plan.ts';

interface GroupCounts {
  selected: number;
  replay: number;
}

/** What a replay does, or did, in numbers. Times are ms since the epoch, null where nothing was selected. */
export interface ReplayCounts {
  readonly selected: number;
  /** To be replayed; after a run, what Kafka has acked. */
  readonly replay: number;
  readonly skipped: Readonly<Partial<Record<SkipReason, number>>>;
  /** Skipped letters that leave work undone. */
  readonly not_replayable: number;
  readonly by_reason: readonly (Readonly<GroupCounts> & { readonly reason: string })[];
  readonly by_bot: readonly (Readonly<GroupCounts> & { readonly tenant_id: string; readonly bot_id: string })[];
}

/** Counts verdicts; memory grows with the number of bots, not of letters. */
export class Tally {
  readonly #reasons = new Map<string, GroupCounts>();
  readonly #bots = new Map<string, GroupCounts & { tenant_id: string; bot_id: string }>();
  readonly #skipped: Partial<Record<SkipReason, number>> = {};
  #selected = 0;
  #replay = 0;
  #notReplayable = 0;

  get replay(): number {
    return this.#replay;
  }

  get selected(): number {
    return this.#selected;
  }

  /** A letter with no known event counts under an empty tenant and bot. */
  add({ letter, event }: ReadLetter, verdict: LetterVerdict): void {
    const replay = verdict.kind === 'replay' ? 1 : 0;
    const { tenant_id, bot_id } = event ?? { tenant_id: '', bot_id: '' };
    const key = JSON.stringify([tenant_id, bot_id]);
    const reason = this.#reasons.get(letter.reason) ?? { selected: 0, replay: 0 };
    const bot = this.#bots.get(key) ?? { tenant_id, bot_id, selected: 0, replay: 0 };
    for (const counts of [reason, bot]) {
      counts.selected++;
      counts.replay += replay;
    }
    this.#reasons.set(letter.reason, reason);
    this.#bots.set(key, bot);
    this.#selected++;
    this.#replay += replay;
    if (verdict.kind === 'replay') return;
    this.#skipped[verdict.why] = (this.#skipped[verdict.why] ?? 0) + 1;
    if (isFailure(verdict.why)) this.#notReplayable++;
  }

  counts(): ReplayCounts {
    const most = (a: GroupCounts, b: GroupCounts) => b.selected - a.selected;
    return {
      selected: this.#selected,
      replay: this.#replay,
      skipped: { ...this.#skipped },
      not_replayable: this.#notReplayable,
      by_reason: [...this.#reasons].map(([reason, counts]) => ({ reason, ...counts })).sort(most),
      by_bot: [...this.#bots.values()].map((counts) => ({ ...counts })).sort(most),
    };
  }
}
