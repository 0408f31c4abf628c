const SAMPLES = 512;
/** Quantiles are taken anew after so many samples, the first ones sooner: sorting after each sample would cost too much. */
const REFRESH_EVERY = 256;
const FIRST_EVERY = 64;
/** Fewer samples say nothing about a tail. */
const ENOUGH = 100;

/** Quantiles of the last 512 latencies, in milliseconds; undefined until there are 100. */
export class RecentLatency {
  readonly #samples = new Float64Array(SAMPLES);
  #count = 0;
  #p50: number | undefined;
  #p95: number | undefined;

  get p50Ms(): number | undefined {
    return this.#p50;
  }
  get p95Ms(): number | undefined {
    return this.#p95;
  }

  record(latencyMs: number): void {
    this.#samples[this.#count % SAMPLES] = latencyMs;
    this.#count++;
    const every = this.#count <= SAMPLES ? FIRST_EVERY : REFRESH_EVERY;
    if (this.#count >= ENOUGH && this.#count % every === 0) this.#refresh();
  }

  #refresh(): void {
    const held = Math.min(this.#count, SAMPLES);
    const sorted = this.#samples.slice(0, held).sort();
    this.#p50 = sorted[Math.floor(held * 0.5)];
    this.#p95 = sorted[Math.floor(held * 0.95)];
  }
}
