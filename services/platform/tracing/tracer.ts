import type { SpanContext } from './trace-context.ts';

/** Never message text, tokens or user ids. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** One step of a message that is sampled. */
export interface Span {
  readonly context: SpanContext;
  set(attributes: Attributes): void;
  /** Something that happened on the way, now. */
  event(name: string, attributes?: Attributes): void;
  /** Has to do with a span that is not its parent. */
  link(context: SpanContext): void;
  /** @param type a code out of a closed list, never a message. */
  fail(type: string): void;
  end(): void;
}

export interface SpanOptions {
  readonly kind: 'producer' | 'consumer' | 'client';
  /** Without one the span begins a trace. */
  readonly parent?: SpanContext | undefined;
  readonly attributes: Attributes;
  /** Milliseconds since the epoch; without it: now. */
  readonly startedAt?: number;
}

/** There is one only where traces are switched on: everybody else holds undefined, and pays one check a message. */
export interface Tracer {
  /** Whether a trace is to begin here: so of one message of many. */
  draws(): boolean;
  /** For a message that is sampled: whoever calls has asked. */
  start(name: string, options: SpanOptions): Span;
  /** Hands on what is left, for at most two seconds. */
  close(): Promise<void>;
}
