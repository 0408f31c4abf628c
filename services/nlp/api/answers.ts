import { API_ERRORS, type ApiErrorCode, INJECTED_FAULT, type Refusal } from './error-codes.ts';

/** An HTTP answer, complete. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const JSON_TYPE = 'application/json; charset=utf-8';

export const jsonAnswer = (status: number, value: unknown, headers?: Answer['headers']): Answer => ({
  status,
  type: JSON_TYPE,
  body: JSON.stringify(value),
  ...(headers && { headers }),
});

export const errorAnswer = ({ code, message }: Refusal, headers?: Answer['headers']): Answer =>
  jsonAnswer(API_ERRORS[code], { code, message }, headers);

const retryAfter = (seconds: number) => ({ 'retry-after': String(seconds) });

export const throttledAnswer = (retryAfterS: number): Answer =>
  errorAnswer(
    { code: 'rate_limited', message: `too many requests; come again in ${retryAfterS} s` },
    retryAfter(retryAfterS),
  );

export const overloadedAnswer = (maxInFlight: number): Answer =>
  errorAnswer({ code: 'overloaded', message: `${maxInFlight} requests are in flight already` }, retryAfter(1));

/** An injected status looks as a real one does: 429 and 503 have their own code and `Retry-After`. */
export function injectedAnswer(status: number, retryAfterS: number): Answer {
  const message = 'this error was injected; see /faults on the admin port';
  const own: Partial<Record<number, ApiErrorCode>> = { 429: 'rate_limited', 503: 'overloaded' };
  const code = own[status];
  if (code) return jsonAnswer(status, { code, message }, retryAfter(retryAfterS));
  return jsonAnswer(status, { code: INJECTED_FAULT, message });
}
