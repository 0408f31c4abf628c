import type { TopicId } from '../../../core/brands.ts';
import type { FetchedRecord } from '../record.ts';

export interface OffsetAndMetadata {
  /** The next offset to read: every offset below is complete. */
  readonly offset: number;
  /** At most 4,096 bytes, the broker's limit. */
  readonly metadata: string;
}

/** The claim is gone: the broker fenced us, or the group gave the partition to another member. Nothing to retry. */
export class ClaimLostError extends Error {
  override readonly name = 'ClaimLostError';
  /** The group does not know our member any more, or has another generation and no rejoin told us of it; else lost here. */
  readonly by: 'expelled' | 'generation' | 'here';

  constructor(message: string, by: 'expelled' | 'generation' | 'here' = 'here') {
    super(message);
    this.by = by;
  }
}

/**
 * One partition while it is ours: from its assignment until it is revoked or lost. It survives a rejoin in which we keep
 * the partition, with its position and whatever is in flight.
 */
export interface Claim {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: TopicId;
  /** As the broker had it at the assignment; `offset` is null where the group never committed. */
  readonly committed: { readonly offset: number | null; readonly metadata: string };
  /** The log's first offset and its end, at the assignment. */
  readonly logStart: number;
  readonly logEnd: number;
  /** False from the moment the claim is lost: produce and commit nothing for it any more. */
  readonly active: boolean;
  pause(): void;
  resume(): void;
  /** The end of the log as of the last fetch: what lies between it and the committed offset is lag. */
  readonly highWatermark: number;
  /** Reads on from this offset, which may lie behind; records that were fetched from elsewhere are not handed over. */
  seek(offset: number): void;
  /**
   * Commits under the member and generation of the assignment, so that the broker refuses a zombie. `snapshot` is called
   * synchronously when the request is made, so that offset and metadata always belong together; commits of several
   * claims travel as one request, one request at a time.
   *
   * @throws {ClaimLostError} when the claim was lost, or fenced by the broker.
   */
  commit(snapshot: () => OffsetAndMetadata): Promise<void>;
}

/**
 * What a service does with one partition. The consumer calls it in offset order: what `take`, `readTo` and `cutTo` name
 * lies behind all that they named before.
 */
export interface PartitionHandler {
  /** The first offset to read. */
  readonly startAt: number;
  /**
   * Takes records over and returns at once. Offsets may jump: what lies before a record and behind the one before it
   * holds no record (a transaction's marker, an aborted record, one that compaction removed). It is not lost.
   *
   * A handler that has no room for all of them calls `claim.seek` within this call, with the offset of the first one that it
   * hands back: reading goes on there, and a `readTo` for the same fetch does not count.
   */
  take(records: readonly FetchedRecord[]): void;
  /** The log was read up to `next`, and holds no record there behind those that were taken. */
  readTo?(next: number): void;
  /**
   * What was not read before `next` is lost: the log was cut and starts there now (retention, delete-records), or the batch
   * before it cannot be read (its codec is unknown, its bytes are damaged).
   */
  cutTo?(next: number): void;
  /** Before every rejoin: finish and commit what can be within the bound. The partition may be kept afterwards. */
  settle(boundMs: number): Promise<void>;
  /** After a rejoin: the partition is still ours, and work on it goes on. */
  kept?(): void;
  /** The partition is no longer ours: drop all state and start nothing new. */
  release(): void;
}
