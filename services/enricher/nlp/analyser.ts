import type { Insight } from '../../core/records.ts';
import type { AnalyseRequest, Analysis } from './analysis.ts';
import type { ResultCache } from './result-cache.ts';
import { textKey } from './text-key.ts';

export type { AnalyseRequest, Analysis } from './analysis.ts';

export interface AnalyserOptions {
  readonly api: { analyse(request: AnalyseRequest): Promise<Analysis> };
  /** Undefined: every message asks the API. */
  readonly cache: ResultCache | undefined;
}

/** A message that waits for what another one with the same text is told. */
interface Follower {
  readonly request: AnalyseRequest;
  readonly sinceMs: number;
  readonly resolve: (analysis: Analysis) => void;
  readonly reject: (error: unknown) => void;
}

/** A text that the API is asked for. */
interface Flight {
  readonly key: string;
  /** Messages whose retries were spent on this text, one after the other. */
  readonly spent: number;
  followers: Follower[] | undefined;
}

/**
 * So many messages spend their retries on one text before the rest of a stampede believes that the text is at fault, and
 * not the moment.
 */
const MAX_SPENT = 3;

/**
 * Answers from the cache what is known, and asks the API once for a text that many messages have at the same time: the
 * first one leads, the others follow.
 *
 * What a leader meets is not always its followers' fate: where it is abandoned the next one leads; where its retries are
 * spent too, three times at most; a rejection is the text's and goes for all. Messages that wait out an outage and
 * those that do not never follow each other, nor do those with a latency budget follow one without.
 */
export class Analyser {
  readonly #api: AnalyserOptions['api'];
  readonly #cache: ResultCache | undefined;
  readonly #flights: Readonly<Record<'prompt' | 'live' | 'patient', Map<string, Flight>>> = {
    prompt: new Map(),
    live: new Map(),
    patient: new Map(),
  };
  /** Messages that followed another's call. */
  followed = 0;

  constructor({ api, cache }: AnalyserOptions) {
    this.#api = api;
    this.#cache = cache;
  }

  analyse(request: AnalyseRequest): Promise<Analysis> {
    const cache = this.#cache;
    if (!cache) return this.#api.analyse(request);
    const key = textKey(request.text);
    const insight = cache.get(key);
    if (insight) return Promise.resolve(known(insight, 0));
    const flights = this.#flights[laneOf(request)];
    const flight = flights.get(key);
    if (!flight) return this.#lead(flights, { key, spent: 0, followers: undefined }, request);
    this.followed++;
    return new Promise((resolve, reject) => {
      flight.followers ??= [];
      flight.followers.push({ request, sinceMs: performance.now(), resolve, reject });
    });
  }

  async #lead(flights: Map<string, Flight>, flight: Flight, request: AnalyseRequest): Promise<Analysis> {
    flights.set(flight.key, flight);
    try {
      const analysis = await this.#api.analyse(request);
      if (analysis.kind === 'analysed') this.#cache?.set(flight.key, analysis.insight);
      flights.delete(flight.key);
      if (flight.followers) this.#tell(flights, flight, flight.followers, analysis);
      return analysis;
    } catch (error) {
      // Nothing that is foreseen: each message fails, and is tried again by whoever asked.
      flights.delete(flight.key);
      for (const { reject } of flight.followers ?? []) reject(error);
      throw error;
    }
  }

  #tell(flights: Map<string, Flight>, flight: Flight, followers: readonly Follower[], analysis: Analysis): void {
    const spent = flight.spent + (analysis.kind === 'exhausted' ? 1 : 0);
    if (analysis.kind === 'abandoned' || (analysis.kind === 'exhausted' && spent < MAX_SPENT)) {
      this.#leadNext(flights, { key: flight.key, spent, followers: undefined }, followers);
    } else if (analysis.kind === 'analysed') {
      const now = performance.now();
      for (const { resolve, sinceMs } of followers) {
        resolve(known(analysis.insight, Math.min(analysis.nlpMs, Math.round(now - sinceMs))));
      }
    } else for (const { resolve } of followers) resolve(analysis);
  }

  #leadNext(flights: Map<string, Flight>, flight: Flight, followers: readonly Follower[]): void {
    const first = followers.findIndex(({ request }) => request.stillWanted());
    const gone = first < 0 ? followers : followers.slice(0, first);
    for (const { resolve } of gone) resolve({ kind: 'abandoned' });
    const next = followers[first];
    if (!next) return;
    flight.followers = followers.slice(first + 1);
    this.#lead(flights, flight, next.request).then(next.resolve, next.reject);
  }
}

const known = (insight: Insight, nlpMs: number): Analysis => ({
  kind: 'analysed',
  insight,
  nlpMs,
  attempts: 0,
  cacheHit: true,
});

function laneOf({ onOutage, hedgeUntilMs }: AnalyseRequest): 'prompt' | 'live' | 'patient' {
  if (onOutage === 'return') return 'prompt';
  return hedgeUntilMs === Number.NEGATIVE_INFINITY ? 'patient' : 'live';
}
