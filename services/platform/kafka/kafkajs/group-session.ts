/** What a member holds after a join: commits must carry exactly these, so that the broker refuses a zombie's. */
export interface GroupSession {
  readonly memberId: string;
  readonly generationId: number;
  readonly assigned: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
}

/** What a group has committed for a partition. */
export interface CommittedOffset {
  readonly topic: string;
  readonly partition: number;
  /** Null where the group never committed. */
  readonly offset: number | null;
  readonly metadata: string;
}
