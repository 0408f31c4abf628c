import type { Insight } from '../../core/records.ts';
import type { Span } from '../../platform/tracing/tracer.ts';

export interface AnalyseRequest {
  readonly id: string;
  readonly text: string;
  /** False once the claim is lost, and the answer with it. */
  readonly stillWanted: () => boolean;
  /** Monotonic milliseconds after which a hedge is not worth it; -Infinity: no hedge (replay, or over its budget already). */
  readonly hedgeUntilMs: number;
  /** What to do while the breaker is open: wait for the API, or come back at once with `unavailable`. */
  readonly onOutage: 'wait' | 'return';
  /** Undefined for a message that is not traced. */
  readonly span?: Span | undefined;
}

export interface Analysed {
  readonly kind: 'analysed';
  readonly insight: Insight;
  /** What the API took, or the part of it that was waited for where another message had asked already. */
  readonly nlpMs: number;
  /** 0 where another message's request, now or earlier, had the answer. */
  readonly attempts: number;
  readonly cacheHit: boolean;
}

/** What the NLP API made of one text, after all retries and waits. Attempts are requests to the API. */
export type Analysis =
  | Analysed
  | { readonly kind: 'rejected'; readonly detail: string; readonly attempts: number; readonly cause: string }
  | { readonly kind: 'exhausted'; readonly detail: string; readonly attempts: number; readonly cause: string }
  /** The breaker is open, and the request did not want to wait. */
  | { readonly kind: 'unavailable'; readonly attempts: number }
  /** The partition was lost meanwhile, and the answer is not wanted any more. */
  | { readonly kind: 'abandoned' };
