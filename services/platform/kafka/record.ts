export interface FetchedRecord {
  readonly offset: number;
  /** When the record was produced, ms since the epoch. */
  readonly timestamp: number;
  /** When a consumer group fetched it, ms since the epoch. */
  readonly fetchedAtMs?: number | undefined;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** For a header that stands there more than once, the last. */
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
  /** Bytes of key and value. */
  readonly size: number;
}
