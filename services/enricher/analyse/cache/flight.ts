import type { AnalyseRequest, Analysis } from '../analysis.ts';
import type { ApiAnalyser, Listener } from '../gate/api-analyser.ts';
import type { ResultCache } from './result-cache.ts';

/** The texts that are being asked for, by their key. */
export interface Fleet {
  readonly api: Pick<ApiAnalyser, 'ask'>;
  readonly cache: ResultCache;
  readonly flights: Map<string, Flight>;
}

/** A message that waits for what another one with the same text is told. */
interface Follower {
  readonly request: AnalyseRequest;
  readonly sinceMs: number;
  readonly listener: Listener;
}

/**
 * So many messages spend their retries on one text before the rest of a stampede believes that the text is at fault, and
 * not the moment.
 */
const MAX_SPENT = 3;

const NOBODY: Listener = { analysed: () => {}, failed: () => {} };

/**
 * One text on its way to the API: the first message leads, those with the same text follow.
 *
 * What a leader meets is not always its followers' fate: where it is abandoned the next one leads; where its retries are
 * spent too, three times at most; a rejection is the text's and goes for all.
 */
export class Flight implements Listener {
  readonly #fleet: Fleet;
  readonly #key: string;
  #leader: Listener;
  /** Messages whose retries were spent on this text, one after the other. */
  readonly #spent: number;
  #followers: Follower[] | undefined;

  constructor(fleet: Fleet, key: string, leader: Listener, spent = 0, followers?: Follower[]) {
    this.#fleet = fleet;
    this.#key = key;
    this.#leader = leader;
    this.#spent = spent;
    this.#followers = followers;
  }

  start(request: AnalyseRequest): void {
    this.#fleet.flights.set(this.#key, this);
    this.#fleet.api.ask(request, this);
  }

  follow(request: AnalyseRequest, listener: Listener): void {
    this.#followers ??= [];
    this.#followers.push({ request, sinceMs: performance.now(), listener });
  }

  analysed(analysis: Analysis): void {
    const { cache, flights } = this.#fleet;
    const leader = this.#leader;
    const followers = this.#followers;
    flights.delete(this.#key);
    this.#forget();
    if (analysis.kind === 'analysed') cache.set(this.#key, analysis.insight);
    leader.analysed(analysis);
    if (followers) this.#tell(followers, analysis);
  }

  /** Each message fails, and is tried again by whoever asked. */
  failed(error: unknown): void {
    const leader = this.#leader;
    const followers = this.#followers ?? [];
    this.#fleet.flights.delete(this.#key);
    this.#forget();
    leader.failed(error);
    for (const { listener } of followers) listener.failed(error);
  }

  /** A Map's former tables name a flight for seconds: it must not keep its messages alive (docs/adr/0012). */
  #forget(): void {
    this.#leader = NOBODY;
    this.#followers = undefined;
  }

  #tell(followers: readonly Follower[], analysis: Analysis): void {
    const spent = this.#spent + (analysis.kind === 'exhausted' ? 1 : 0);
    if (analysis.kind === 'abandoned' || (analysis.kind === 'exhausted' && spent < MAX_SPENT)) {
      this.#leadNext(followers, spent);
    } else if (analysis.kind === 'analysed') {
      const now = performance.now();
      for (const { listener, sinceMs } of followers) {
        const nlpMs = Math.min(analysis.nlpMs, Math.round(now - sinceMs));
        listener.analysed({ kind: 'analysed', insight: analysis.insight, nlpMs, attempts: 0, cacheHit: true });
      }
    } else for (const { listener } of followers) listener.analysed(analysis);
  }

  #leadNext(followers: readonly Follower[], spent: number): void {
    const first = followers.findIndex(({ request }) => request.stillWanted());
    const gone = first < 0 ? followers : followers.slice(0, first);
    for (const { listener } of gone) listener.analysed({ kind: 'abandoned' });
    const next = followers[first];
    if (!next) return;
    new Flight(this.#fleet, this.#key, next.listener, spent, followers.slice(first + 1)).start(next.request);
  }
}
