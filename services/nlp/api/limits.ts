/**
 * Bounds of the API, each with its arithmetic. The OpenAPI document repeats them; a test keeps the two equal.
 */

/**
 * UTF-16 code units of one text. The gateway lets 8,192 characters through; a character outside the basic plane is
 * two units, so twice that many always suffice, however a caller counts.
 */
export const MAX_TEXT_UNITS = 16_384;

/** UTF-16 code units of a document's id: a client's id, or topic id, topic, partition and offset joined. */
export const MAX_ID_UNITS = 512;

export const MAX_BATCH_DOCUMENTS = 25;

/** A document in JSON at its worst: each unit written as `\uXXXX` (6 bytes), and room for names and other fields. */
const MAX_DOCUMENT_BYTES = 6 * (MAX_TEXT_UNITS + MAX_ID_UNITS) + 512;

/** 101,888 bytes: one document. */
export const MAX_SINGLE_BODY_BYTES = MAX_DOCUMENT_BYTES;

/** 2,547,712 bytes: a full batch and its brackets. */
export const MAX_BATCH_BODY_BYTES = MAX_BATCH_DOCUMENTS * MAX_DOCUMENT_BYTES + 512;

/**
 * How long an idle connection is kept, in milliseconds. Clients must drop theirs earlier (undici's default is 4 s),
 * else a request may meet a connection that is just being closed.
 */
export const KEEP_ALIVE_MS = 65_000;

/** A request whose body has not arrived after this long is answered 408. */
export const REQUEST_TIMEOUT_MS = 30_000;
