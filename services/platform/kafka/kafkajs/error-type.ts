import { createRequire } from 'node:module';

/** Kafka's name of a protocol error, `MESSAGE_TOO_LARGE` say, also where kafkajs has wrapped it; undefined for others. */
export const errorTypeOf = (error: unknown): string | undefined => {
  const { type, cause } = error as { type?: string; cause?: unknown };
  return type ?? (cause ? errorTypeOf(cause) : undefined);
};

const require = createRequire(import.meta.url);
const { errorCodes } = require('kafkajs/src/protocol/error') as {
  errorCodes: readonly { readonly type: string; readonly code: number }[];
};
const NAMES: ReadonlyMap<number, string> = new Map(errorCodes.map(({ code, type }) => [code, type]));

/** Kafka's name of an error code; `ERROR_123` for one of a later Kafka. */
export const errorNameOf = (code: number): string => NAMES.get(code) ?? `ERROR_${code}`;
