import type { AnalyseRequest, Analysis } from '../analysis.ts';
import { deliver, type Receiver } from '../callbacks.ts';
import type { ApiAnalyser } from '../gate/api-analyser.ts';
import type { ResultCache } from './result-cache.ts';

/** Calls of one kind that share their answers: each text is asked for once at a time. */
export interface CallGroup {
  readonly api: Pick<ApiAnalyser, 'ask'>;
  readonly cache: ResultCache;
  /** By the text's key. */
  readonly calls: Map<string, SingleFlightCall>;
}

/** A message that waits for the answer to another one with the same text. */
interface Follower {
  readonly request: AnalyseRequest;
  readonly sinceMs: number;
  readonly receiver: Receiver<Analysis>;
}

/**
 * Messages with the same text that spend all their retries, one after the other, before those that follow them fail with
 * the last one: then the text is at fault, and not the moment. A stampede of one bad text costs three rounds of retries.
 */
const MAX_SPENT = 3;

const FORGOTTEN: Receiver<Analysis> = { received: () => {}, failed: () => {} };

/**
 * One text on its way to the API: the first message leads, those with the same text follow.
 *
 * Followers share a leader's analysis and its rejection, which are the text's. Where the leader is abandoned the next
 * message leads; where its retries are spent too, three times at most.
 */
export class SingleFlightCall implements Receiver<Analysis> {
  readonly #group: CallGroup;
  readonly #key: string;
  #leader: Receiver<Analysis>;
  /** Messages whose retries were spent on this text, one after the other. */
  readonly #spent: number;
  #followers: Follower[] | undefined;

  constructor(group: CallGroup, key: string, leader: Receiver<Analysis>, spent = 0, followers?: Follower[]) {
    this.#group = group;
    this.#key = key;
    this.#leader = leader;
    this.#spent = spent;
    this.#followers = followers;
  }

  start(request: AnalyseRequest): void {
    this.#group.calls.set(this.#key, this);
    this.#group.api.ask(request, this);
  }

  follow(request: AnalyseRequest, receiver: Receiver<Analysis>): void {
    this.#followers ??= [];
    this.#followers.push({ request, sinceMs: performance.now(), receiver });
  }

  received(analysis: Analysis): void {
    // Before all else: if it throws, `failed` still reaches everyone.
    if (analysis.kind === 'analysed') this.#group.cache.set(this.#key, analysis.insight);
    const leader = this.#leader;
    const followers = this.#followers;
    this.#end();
    deliver(leader, analysis);
    if (followers) this.#share(followers, analysis);
  }

  /** Each message fails by itself, and is tried again by its own worker. */
  failed(error: unknown): void {
    const leader = this.#leader;
    const followers = this.#followers ?? [];
    this.#end();
    leader.failed(error);
    for (const { receiver } of followers) receiver.failed(error);
  }

  /** A Map's former tables name a call for seconds: it must not keep its messages alive (docs/adr/0012-hot-path.md). */
  #end(): void {
    this.#group.calls.delete(this.#key);
    this.#leader = FORGOTTEN;
    this.#followers = undefined;
  }

  #share(followers: readonly Follower[], analysis: Analysis): void {
    const spent = this.#spent + (analysis.kind === 'exhausted' ? 1 : 0);
    if (analysis.kind === 'abandoned' || (analysis.kind === 'exhausted' && spent < MAX_SPENT)) {
      this.#leadNext(followers, spent);
    } else if (analysis.kind === 'analysed') {
      const now = performance.now();
      for (const { receiver, sinceMs } of followers) {
        const nlpMs = Math.min(analysis.nlpMs, Math.round(now - sinceMs));
        deliver(receiver, { kind: 'analysed', insight: analysis.insight, nlpMs, attempts: 0, cacheHit: true });
      }
    } else for (const { receiver } of followers) deliver(receiver, analysis);
  }

  #leadNext(followers: readonly Follower[], spent: number): void {
    const first = followers.findIndex(({ request }) => request.stillWanted());
    const gone = first < 0 ? followers : followers.slice(0, first);
    for (const { receiver } of gone) deliver(receiver, { kind: 'abandoned' });
    const next = followers[first];
    if (!next) return;
    new SingleFlightCall(this.#group, this.#key, next.receiver, spent, followers.slice(first + 1)).start(next.request);
  }
}
