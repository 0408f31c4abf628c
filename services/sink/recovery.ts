import type { CommitState } from './intent.ts';

/** Offsets `[from, to)` of one partition of chat.enriched. */
export interface Bounds {
  readonly from: number;
  readonly to: number;
}

/**
 * Partitions of chat.enriched when a block was cut: which sources were at home in its partition. Undefined for a block
 * of before ADR 19, when every source had the partition of its own number.
 */
export type Layout = number | undefined;

/** A block on record in ClickHouse, which it is before its first row. */
export interface BegunBlock extends Bounds {
  readonly seq: number;
  readonly layout: Layout;
}

/** The first block on record of a partition. */
export interface FirstBegun {
  readonly seq: number;
  /** Where the lowest of the first blocks on record begins. */
  readonly lowest: number;
  /** Seconds since it was begun. */
  readonly ageS: number;
}

const DAY_S = 86_400;

/**
 * Whether ClickHouse was emptied under a sink that went on: its first block on record is not the first, is of today, and
 * no block after it has begun at the log's start again. One whose predecessors the table's TTL removed is no sign of
 * that: it is old.
 */
export const lostItsStart = (first: FirstBegun | undefined, logStart: number): boolean =>
  first !== undefined && first.seq > 1 && first.lowest > logStart && first.ageS < DAY_S;

export interface Replay extends Bounds {
  /** ClickHouse has it on record, so parts of it may be in: the decisions made then stand. */
  readonly begun: boolean;
  readonly layout: Layout;
}

export interface Recovery {
  /** Blocks to insert again under their own tokens, in this order, before anything else. */
  readonly replays: readonly Replay[];
  /** Where reading goes on afterwards. */
  readonly resumeAt: number;
  /** The broker has our own word for `resumeAt` already. */
  readonly isClosed: boolean;
  /** Offsets below are committed: a row that one of them still brings in had been lost by ClickHouse. */
  readonly committedBelow: number;
}

export interface RecoveryInput {
  readonly committed: { readonly offset: number | null; readonly state: CommitState };
  /** The last block that was begun for this topic id and partition, by ClickHouse's own record. */
  readonly lastBegun: BegunBlock | undefined;
  readonly logStart: number;
  /** {@link lostItsStart} */
  readonly lostStart: boolean;
}

/**
 * What the new owner of a partition has to do first. Blocks of a partition are strictly one after another, so only the
 * last one begun can be half done; every earlier one is complete in every table.
 *
 * - Our own commit with an intent `[a, b)`: that block may be half done or not begun: insert it again, exactly.
 * - Our own commit without: everything below is closed.
 * - The commit does not explain the last block begun (the group's offsets were reset, wiped or restored from a backup):
 *   that block may be half done and no intent says so; it goes first, then reading goes on where the commit says, and
 *   records that have a receipt are dropped.
 * - Our own commit lies above the last block begun: what is between them had no rows, or ClickHouse lost them (its data
 *   was wiped, or is a backup's). Reading goes on where ClickHouse stands, and records that have a receipt are dropped.
 * - ClickHouse was emptied and a sink went on before it saw that: the last block begun goes first, then the log is read
 *   from its start.
 */
export function planRecovery({ committed, lastBegun, logStart, lostStart }: RecoveryInput): Recovery {
  const { offset, state } = committed;
  // An offset of another topic of this name would skip records of this one.
  const at = offset === null || state.kind === 'other_topic' ? logStart : Math.max(offset, 0);
  const ours = state.kind === 'intent' || state.kind === 'closed';
  const intent = state.kind === 'intent' ? { from: at, to: state.next, layout: state.layout } : undefined;
  const isIntent = lastBegun !== undefined && lastBegun.from === intent?.from && lastBegun.to === intent.to;
  if (lostStart && lastBegun) {
    const { from, to, layout } = lastBegun;
    const replays = to > logStart ? [{ from, to, layout, begun: true }] : [];
    return { replays, resumeAt: logStart, isClosed: false, committedBelow: intent?.to ?? at };
  }
  const standsAt = Math.max(lastBegun?.to ?? logStart, logStart);
  if (ours && !isIntent && standsAt < at) {
    // Committed anew from there: below a commit, `verify` takes what has no receipt for missing.
    return { replays: [], resumeAt: standsAt, isClosed: false, committedBelow: intent?.to ?? at };
  }
  const explained = lastBegun === undefined || isIntent || (ours && lastBegun.to <= at);
  const replays: Replay[] = [];
  if (!explained && lastBegun.to > logStart) {
    const { from, to, layout } = lastBegun;
    replays.push({ from, to, layout, begun: true });
  }
  if (intent && intent.to > logStart) replays.push({ ...intent, begun: isIntent });
  return { replays, resumeAt: intent?.to ?? at, isClosed: state.kind === 'closed', committedBelow: 0 };
}
