import type { Insight } from './frames.ts';

/** More than what comes in the seconds for which a gateway looks back after a reconnect. */
const MAX_REMEMBERED = 4_096;

/** The insights that came before: after a reconnect the gateway may repeat those of the last seconds. */
export class SeenInsights {
  readonly #keys = new Set<string>();

  /** @returns whether this one is new. */
  note({ conversation_id, id, revision, provisional, outcome }: Insight): boolean {
    const key = JSON.stringify([conversation_id, id, revision, provisional, outcome]);
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    // Sets keep their insertion order.
    for (const oldest of this.#keys) {
      if (this.#keys.size <= MAX_REMEMBERED) break;
      this.#keys.delete(oldest);
    }
    return true;
  }
}
