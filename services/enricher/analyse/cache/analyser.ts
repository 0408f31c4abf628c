import type { AnalyseRequest, Analysis } from '../analysis.ts';
import { BLANK_ANALYSIS, isBlank } from '../blank-text.ts';
import type { Receiver } from '../callbacks.ts';
import type { ApiAnalyser } from '../gate/api-analyser.ts';
import type { ResultCache } from './result-cache.ts';
import { type CallGroup, SingleFlightCall } from './single-flight.ts';
import { textKey } from './text-key.ts';

export type { Analysed, AnalyseRequest, Analysis } from '../analysis.ts';

export interface AnalyserOptions {
  readonly api: Pick<ApiAnalyser, 'ask'>;
  /** Undefined: every message asks the API. */
  readonly cache: ResultCache | undefined;
}

/**
 * `prompt`: the message comes back at once from an outage; `live`: it has a latency budget and waits; `patient`: it waits
 * and has none (a replay).
 */
type Urgency = 'prompt' | 'live' | 'patient';

/**
 * Answers blank texts by itself and known ones from the cache, and asks the API once for a text that several messages have at the same time.
 * Messages share a call only with others of the same urgency, so that a live message never waits for a replayed one.
 */
export class Analyser {
  readonly #api: AnalyserOptions['api'];
  readonly #cache: ResultCache | undefined;
  readonly #groups: Readonly<Record<Urgency, CallGroup>> | undefined;
  /** Messages that followed another's call. */
  followed = 0;

  constructor({ api, cache }: AnalyserOptions) {
    this.#api = api;
    this.#cache = cache;
    if (!cache) return;
    const group = (): CallGroup => ({ api, cache, calls: new Map() });
    this.#groups = { prompt: group(), live: group(), patient: group() };
  }

  ask(request: AnalyseRequest, receiver: Receiver<Analysis>): void {
    if (isBlank(request.text)) {
      receiver.received(BLANK_ANALYSIS);
      return;
    }
    const cache = this.#cache;
    if (!cache || !this.#groups) {
      this.#api.ask(request, receiver);
      return;
    }
    const key = textKey(request.text);
    const insight = cache.get(key);
    if (insight) {
      receiver.received({ kind: 'analysed', insight, nlpMs: 0, attempts: 0, cacheHit: true });
      return;
    }
    const group = this.#groups[urgencyOf(request)];
    const call = group.calls.get(key);
    if (!call) new SingleFlightCall(group, key, receiver).start(request);
    else {
      this.followed++;
      call.follow(request, receiver);
    }
  }

  /** The same as a promise, for the few that ask rarely. Rejects only for what is not foreseen. */
  analyse(request: AnalyseRequest): Promise<Analysis> {
    return new Promise((received, failed) => this.ask(request, { received, failed }));
  }

  /** Asks the API itself, whatever the cache or another message's call would answer: what comes says how the API is now. */
  probe(request: AnalyseRequest): Promise<Analysis> {
    return new Promise((received, failed) => this.#api.ask(request, { received, failed }));
  }
}

function urgencyOf({ onOutage, hedgeUntilMs }: AnalyseRequest): Urgency {
  if (onOutage === 'return') return 'prompt';
  return hedgeUntilMs === Number.NEGATIVE_INFINITY ? 'patient' : 'live';
}
