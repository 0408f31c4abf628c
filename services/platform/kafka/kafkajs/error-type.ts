/** Kafka's name of a protocol error, `MESSAGE_TOO_LARGE` say, also where kafkajs has wrapped it; undefined for others. */
export const errorTypeOf = (error: unknown): string | undefined => {
  const { type, cause } = error as { type?: string; cause?: unknown };
  return type ?? (cause ? errorTypeOf(cause) : undefined);
};
