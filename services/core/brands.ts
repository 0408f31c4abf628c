/**
 * Branded primitives: a plain number or string that carries its unit or kind in its type, so that a duration can
 * not be passed where an instant is meant. They cost nothing at run time.
 */
declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Milliseconds since 1970-01-01T00:00:00Z, an integer. */
export type EpochMs = Brand<number, 'EpochMs'>;
/** A length of time in milliseconds. */
export type DurationMs = Brand<number, 'DurationMs'>;
/** Kafka's own id of a topic (a UUID, base64url, 22 characters): it changes when a topic is deleted and made again. */
export type TopicId = Brand<string, 'TopicId'>;

export const epochMs = (value: number): EpochMs => value as EpochMs;
export const durationMs = (value: number): DurationMs => value as DurationMs;
