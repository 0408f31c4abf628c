import type { ReadLetter } from './dead-letters.ts';

interface Group {
  count: number;
  first_failed_at: number;
  last_failed_at: number;
  /** `partition/offset` in `chat.dlq` of the one that failed last: what `parley dlq show` takes. */
  latest: string;
}

export interface ReasonSummary extends Readonly<Group> {
  readonly reason: string;
}

export interface BotSummary extends Readonly<Group> {
  readonly reason: string;
  /** Empty where the record does not decode. */
  readonly tenant_id: string;
  readonly bot_id: string;
}

/** Dead letters in numbers, by reason, and by bot where the events were decoded. Times are ms since the epoch. */
export class LetterSummary {
  readonly #reasons = new Map<string, ReasonSummary & Group>();
  readonly #bots = new Map<string, BotSummary & Group>();

  add({ letter, event }: ReadLetter): void {
    const { reason, failedAt, partition, offset } = letter;
    const { tenant_id, bot_id } = event ?? { tenant_id: '', bot_id: '' };
    const fresh = { count: 0, first_failed_at: failedAt as number, last_failed_at: failedAt as number, latest: '' };
    const key = JSON.stringify([reason, tenant_id, bot_id]);
    const byReason = this.#reasons.get(reason) ?? { reason, ...fresh };
    const byBot = this.#bots.get(key) ?? { reason, tenant_id, bot_id, ...fresh };
    for (const group of [byReason, byBot] as Group[]) {
      group.count++;
      group.first_failed_at = Math.min(group.first_failed_at, failedAt);
      if (failedAt >= group.last_failed_at) group.latest = `${partition}/${offset}`;
      group.last_failed_at = Math.max(group.last_failed_at, failedAt);
    }
    this.#reasons.set(reason, byReason);
    this.#bots.set(key, byBot);
  }

  get total(): number {
    return [...this.#reasons.values()].reduce((sum, { count }) => sum + count, 0);
  }

  /** Most first. */
  byReason(): ReasonSummary[] {
    return [...this.#reasons.values()].sort((a, b) => b.count - a.count);
  }

  byBot(): BotSummary[] {
    return [...this.#bots.values()].sort((a, b) => b.count - a.count);
  }
}
