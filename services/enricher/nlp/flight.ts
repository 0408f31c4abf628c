import type { AnalyseRequest, Analysis } from './analysis.ts';
import type { ApiAnalyser, Listener } from './api-analyser.ts';
import type { ResultCache } from './result-cache.ts';

/** The texts that are being asked for, by their key. */
export interface Fleet {
  readonly api: Pick<ApiAnalyser, 'analyse'>;
  readonly cache: ResultCache;
  readonly flights: Map<string, Flight>;
}

/** A message that waits for what another one with the same text is told. */
interface Follower {
  readonly request: AnalyseRequest;
  readonly sinceMs: number;
  readonly resolve: (analysis: Analysis) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * So many messages spend their retries on one text before the rest of a stampede believes that the text is at fault, and
 * not the moment.
 */
const MAX_SPENT = 3;

/**
 * One text on its way to the API: the first message leads, those with the same text follow.
 *
 * What a leader meets is not always its followers' fate: where it is abandoned the next one leads; where its retries are
 * spent too, three times at most; a rejection is the text's and goes for all.
 */
export class Flight implements Listener {
  readonly #fleet: Fleet;
  readonly #key: string;
  /** Messages whose retries were spent on this text, one after the other. */
  readonly #spent: number;
  #followers: Follower[] | undefined;

  constructor(fleet: Fleet, key: string, spent = 0, followers?: Follower[]) {
    this.#fleet = fleet;
    this.#key = key;
    this.#spent = spent;
    this.#followers = followers;
  }

  start(leader: AnalyseRequest): Promise<Analysis> {
    this.#fleet.flights.set(this.#key, this);
    return this.#fleet.api.analyse(leader, this);
  }

  follow(request: AnalyseRequest): Promise<Analysis> {
    return new Promise((resolve, reject) => {
      this.#followers ??= [];
      this.#followers.push({ request, sinceMs: performance.now(), resolve, reject });
    });
  }

  analysed(analysis: Analysis): void {
    const { cache, flights } = this.#fleet;
    flights.delete(this.#key);
    if (analysis.kind === 'analysed') cache.set(this.#key, analysis.insight);
    if (this.#followers) this.#tell(this.#followers, analysis);
  }

  /** Each message fails, and is tried again by whoever asked. */
  failed(error: unknown): void {
    this.#fleet.flights.delete(this.#key);
    for (const { reject } of this.#followers ?? []) reject(error);
  }

  #tell(followers: readonly Follower[], analysis: Analysis): void {
    const spent = this.#spent + (analysis.kind === 'exhausted' ? 1 : 0);
    if (analysis.kind === 'abandoned' || (analysis.kind === 'exhausted' && spent < MAX_SPENT)) {
      this.#leadNext(followers, spent);
    } else if (analysis.kind === 'analysed') {
      const now = performance.now();
      for (const { resolve, sinceMs } of followers) {
        const nlpMs = Math.min(analysis.nlpMs, Math.round(now - sinceMs));
        resolve({ kind: 'analysed', insight: analysis.insight, nlpMs, attempts: 0, cacheHit: true });
      }
    } else for (const { resolve } of followers) resolve(analysis);
  }

  #leadNext(followers: readonly Follower[], spent: number): void {
    const first = followers.findIndex(({ request }) => request.stillWanted());
    const gone = first < 0 ? followers : followers.slice(0, first);
    for (const { resolve } of gone) resolve({ kind: 'abandoned' });
    const next = followers[first];
    if (!next) return;
    const flight = new Flight(this.#fleet, this.#key, spent, followers.slice(first + 1));
    flight.start(next.request).then(next.resolve, next.reject);
  }
}
