/** The place of a span in its trace, of one that is sampled: of others nothing is kept. */
export interface SpanContext {
  /** 32 and 16 lower-case hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  /** What other tracing systems want passed on, untouched. */
  readonly traceState?: string | undefined;
}

/** Names of the record headers, and of HTTP's: https://www.w3.org/TR/trace-context/ */
export const TRACEPARENT = 'traceparent';
export const TRACESTATE = 'tracestate';

const FORM = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-[\da-f]{2}(?:$|-)/;
/** `00-<32>-<16>-01`: the flags are the last two digits. A later version may be longer. */
const LENGTH = 55;
const MAX_STATE_CHARS = 512;

/** The lowest bit of the flags, out of a hexadecimal digit: those of the letters are the other way round. */
const isOdd = (digit: number): boolean => ((digit <= 0x39 ? digit : digit + 1) & 1) === 1;

/** The context of a record that is sampled, or undefined: for all others no more than one byte is looked at. */
export function sampledContext(headers: Readonly<Record<string, Buffer | undefined>>): SpanContext | undefined {
  const header = headers[TRACEPARENT];
  if (header === undefined || header.length < LENGTH || !isOdd(header[LENGTH - 1] as number)) return undefined;
  const text = header.toString('latin1');
  const [, traceId, spanId] = FORM.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  // Version 00 has nothing behind the flags.
  if (text.startsWith('00') && text.length > LENGTH) return undefined;
  const traceState = headers[TRACESTATE]?.toString('latin1');
  return { traceId, spanId, ...(traceState && traceState.length <= MAX_STATE_CHARS && { traceState }) };
}

/** The headers that carry a context on, in Kafka and over HTTP. */
export function traceHeaders({ traceId, spanId, traceState }: SpanContext): Record<string, string> {
  const traceparent = `00-${traceId}-${spanId}-01`;
  return traceState === undefined
    ? { [TRACEPARENT]: traceparent }
    : { [TRACEPARENT]: traceparent, [TRACESTATE]: traceState };
}
