/** What a partition's log holds. */
export interface LogRange {
  readonly partition: number;
  /** The first offset that the log still holds. */
  readonly start: number;
  /** The offset that the next record will get. */
  readonly end: number;
}
