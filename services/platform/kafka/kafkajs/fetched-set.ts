export interface FetchPosition {
  readonly topic: string;
  readonly partition: number;
  /** The first offset that is wanted; the whole batch that holds it comes. */
  readonly offset: number;
}

/** A producer's transaction that was aborted: its records from `firstOffset` on up to its marker are void. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/** What a broker has of one partition: its record set as it lies on the broker's disk, to be scanned or decoded. */
export interface FetchedSet {
  readonly topic: string;
  readonly partition: number;
  /** Kafka's error code; 0 is none. */
  readonly error: number;
  /** The end of the log as far as it is replicated. */
  readonly highWatermark: number;
  readonly aborted: readonly AbortedTransaction[];
  /** The node that is to be read from instead, as it is nearer (KIP-392): with it come no records. */
  readonly preferredReplica: number | undefined;
  readonly records: Buffer;
}
