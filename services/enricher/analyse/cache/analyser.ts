import type { AnalyseRequest, Analysis } from '../analysis.ts';
import type { ApiAnalyser, Listener } from '../gate/api-analyser.ts';
import { type Fleet, Flight } from './flight.ts';
import type { ResultCache } from './result-cache.ts';
import { textKey } from './text-key.ts';

export type { AnalyseRequest, Analysis } from '../analysis.ts';

export interface AnalyserOptions {
  readonly api: Pick<ApiAnalyser, 'ask'>;
  /** Undefined: every message asks the API. */
  readonly cache: ResultCache | undefined;
}

/**
 * Answers from the cache what is known, and asks the API once for a text that many messages have at the same time.
 *
 * Messages that wait out an outage and those that do not never follow each other, nor do those with a latency budget
 * follow one without: each kind has a fleet of its own.
 */
export class Analyser {
  readonly #api: AnalyserOptions['api'];
  readonly #cache: ResultCache | undefined;
  readonly #fleets: Readonly<Record<'prompt' | 'live' | 'patient', Fleet>> | undefined;
  /** Messages that followed another's call. */
  followed = 0;

  constructor({ api, cache }: AnalyserOptions) {
    this.#api = api;
    this.#cache = cache;
    if (!cache) return;
    const fleet = (): Fleet => ({ api, cache, flights: new Map() });
    this.#fleets = { prompt: fleet(), live: fleet(), patient: fleet() };
  }

  /** The listener may be told at once. */
  ask(request: AnalyseRequest, listener: Listener): void {
    const cache = this.#cache;
    if (!cache || !this.#fleets) {
      this.#api.ask(request, listener);
      return;
    }
    const key = textKey(request.text);
    const insight = cache.get(key);
    if (insight) {
      listener.analysed({ kind: 'analysed', insight, nlpMs: 0, attempts: 0, cacheHit: true });
      return;
    }
    const fleet = this.#fleets[kindOf(request)];
    const flight = fleet.flights.get(key);
    if (!flight) new Flight(fleet, key, listener).start(request);
    else {
      this.followed++;
      flight.follow(request, listener);
    }
  }

  /** The same for those who ask rarely. Rejects only for what is not foreseen. */
  analyse(request: AnalyseRequest): Promise<Analysis> {
    return new Promise((resolve, reject) => this.ask(request, { analysed: resolve, failed: reject }));
  }
}

function kindOf({ onOutage, hedgeUntilMs }: AnalyseRequest): 'prompt' | 'live' | 'patient' {
  if (onOutage === 'return') return 'prompt';
  return hedgeUntilMs === Number.NEGATIVE_INFINITY ? 'patient' : 'live';
}
