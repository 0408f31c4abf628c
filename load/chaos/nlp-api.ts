import type { EventKind } from './plan.ts';

const TIMEOUT_MS = 2_000;
const SAMPLE_MS = 250;
const ANALYSED = /^parley_nlp_documents_total\{[^}]*result="analysed"[^}]*\} ([\d.e+]+)$/m;

const FAULTS: Partial<Record<EventKind, unknown>> = {
  nlp_errors: { errors: { 500: 0.3, 503: 0.2 } },
  nlp_hangs: { hang_rate: 0.3 },
  nlp_slow: { slow: { rate: 1, extra_ms: 1_000 } },
};

/** The NLP service's admin port: faults on and off, and how many documents it analysed, over all its lives. */
export class NlpApi {
  readonly #adminUrl: string;
  readonly #timer: NodeJS.Timeout;
  #earlierLives = 0;
  #thisLife = 0;

  constructor(adminUrl: string) {
    this.#adminUrl = adminUrl;
    this.#timer = setInterval(() => void this.sample(), SAMPLE_MS);
  }

  /** What it analysed after the last sample before a kill is not in it. */
  get analysed(): number {
    return this.#earlierLives + this.#thisLife;
  }

  /** To be called when its process has ended: the next one counts from 0. */
  ended(): void {
    this.#earlierLives += this.#thisLife;
    this.#thisLife = 0;
  }

  async sample(): Promise<void> {
    const before = this.#earlierLives;
    try {
      const text = await (await this.#ask('/metrics')).text();
      const found = ANALYSED.exec(text)?.[1];
      // A sample that was under way when the process ended belongs to a life that is counted already.
      if (found !== undefined && before === this.#earlierLives)
        this.#thisLife = Math.max(this.#thisLife, Number(found));
    } catch {
      // Killed or frozen: the next sample tells.
    }
  }

  async inject(kind: EventKind): Promise<void> {
    await this.#settled('PUT', JSON.stringify(FAULTS[kind]));
  }

  async heal(): Promise<void> {
    await this.#settled('DELETE');
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #settled(method: 'PUT' | 'DELETE', body?: string): Promise<void> {
    const response = await this.#ask('/faults', { method, ...(body !== undefined && { body }) });
    const text = await response.text();
    if (!response.ok) throw new Error(`the NLP service answered ${response.status} to ${method} /faults: ${text}`);
  }

  #ask(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.#adminUrl}${path}`, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
  }
}
