import type { EventKind } from './faults.ts';

const TIMEOUT_MS = 2_000;

const FAULTS: Partial<Record<EventKind, unknown>> = {
  nlp_errors: { errors: { 500: 0.3, 503: 0.2 } },
  nlp_hangs: { hang_rate: 0.3 },
  nlp_slow: { slow: { rate: 1, extra_ms: 1_000 } },
};

/** The NLP service's admin port: faults on and off. */
export class NlpApi {
  readonly #adminUrl: string;

  constructor(adminUrl: string) {
    this.#adminUrl = adminUrl;
  }

  async inject(kind: EventKind): Promise<void> {
    await this.#settled('PUT', JSON.stringify(FAULTS[kind]));
  }

  async heal(): Promise<void> {
    await this.#settled('DELETE');
  }

  async #settled(method: 'PUT' | 'DELETE', body?: string): Promise<void> {
    const response = await fetch(`${this.#adminUrl}/faults`, {
      method,
      ...(body !== undefined && { body }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the NLP service answered ${response.status} to ${method} /faults: ${text}`);
  }
}
