/** An attempt's weight: the average remembers about the last fifty. */
const WEIGHT = 1 / 50;

/**
 * Whether the NLP API works for others: a running average over attempts. The breaker looks back over seconds and opens
 * late after a time of success; until then, a text's spent retries say nothing of the text. This average is below a half
 * after some thirty failures in a row.
 */
export class ApiHealth {
  #successes = 1;

  attempted(ok: boolean): void {
    this.#successes += WEIGHT * ((ok ? 1 : 0) - this.#successes);
  }

  get works(): boolean {
    return this.#successes >= 0.5;
  }
}
