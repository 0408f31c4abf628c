import { deadKey, keyCrc, keyText } from '../core/message-key.ts';
import type { ChatOutcome } from '../core/records.ts';
import type { Decision, FactStore } from './fact-store.ts';
import { type BlockId, duplicateRow, factRow, gapRow, type IngestRow, replacementRows } from './ingest-row.ts';
import type { LogEntry } from './log-entry.ts';
import { judge, type PresentRow, presentAfter, type Verdict } from './present-row.ts';
import type { BlockReceipts, ReceiptBook, SourceRange } from './receipt-book.ts';
import type { RecentKeys } from './recent-keys.ts';

/** One outcome that is new, and what becomes of it. */
interface Judged {
  readonly offset: number;
  readonly outcome: ChatOutcome;
  readonly undecodable: boolean;
  readonly verdict: Verdict;
}

interface Gap {
  readonly offset: number;
  readonly outcome: ChatOutcome;
  readonly free: readonly { readonly first: number; readonly last: number }[];
}

export interface BlockPlan {
  readonly block: BlockId;
  readonly judged: readonly Judged[];
  readonly gaps: readonly Gap[];
  readonly receipts: readonly SourceRange[];
  /** Records whose source had a receipt. */
  readonly repeats: number;
}

export interface Planner {
  readonly store: FactStore;
  readonly book: ReceiptBook;
  readonly recentKeys: RecentKeys;
}

/** A block that is inserted again: whether its rows may be in, and what is on record about it. */
export interface Replayed {
  readonly begun: boolean;
  readonly decisions: readonly Decision[];
}

/** Decisions are stored all at once, so some are all; none is all as well once rows may be in. */
const isDecided = (replay: Replayed | undefined): replay is Replayed =>
  replay !== undefined && (replay.begun || replay.decisions.length > 0);

type Countable = { readonly offset: number; readonly outcome: ChatOutcome; readonly undecodable: boolean };

/** The entry as something that can be counted: undecodable ones by their stand-in. */
function countableOf(entry: LogEntry): Countable | undefined {
  if (entry.kind === 'outcome') return { offset: entry.offset, outcome: entry.outcome, undecodable: false };
  if (entry.kind === 'undecodable' && entry.standIn) {
    return { offset: entry.offset, outcome: entry.standIn, undecodable: true };
  }
  return undefined;
}

function sourceOf(outcome: ChatOutcome): SourceRange {
  const { topic_id: topicId, partition, offset } = outcome.source;
  return {
    topicId,
    partition,
    first: offset,
    last: outcome.outcome === 'gap' ? (outcome.last_offset ?? offset) : offset,
  };
}

/**
 * Decides what each record of a block becomes. A block that is replayed after a crash must come out as it was, since
 * some targets may have it and others not. Why it does:
 *
 * 1. Blocks of a partition are one after another, so a first plan sees every earlier block complete and no later one.
 *    It is made *before* the intent is committed: the commit succeeds only while we own the partition, so a plan that
 *    goes on to be inserted was made before any successor could insert a row.
 * 2. A replay looks past receipts and rows with its own bounds, and with those of this very topic and partition.
 * 3. Receipts of other blocks are never changed. Rows of `messages` are: once the block's own new row is in, a merge may
 *    remove the older one that it replaced. Hence every verdict that rests on an earlier row (and every "undecodable",
 *    since a registry can change its mind) is recorded in `decisions` before the first row goes in; a replay of a block
 *    takes these and judges nothing anew. Where none are recorded and the block is not on record as begun, it has no
 *    row anywhere: nothing was merged away, and a fresh plan is the same plan.
 * 4. A key that meets another of the same block is judged in log order, from the log alone.
 */
export async function planBlock(
  { store, book, recentKeys }: Planner,
  block: BlockId,
  entries: readonly LogEntry[],
  replay: Replayed | undefined,
): Promise<BlockPlan> {
  const own = replay && block;
  const outcomes = entries.flatMap((entry) =>
    entry.kind === 'gap' ? [entry.outcome] : (countableOf(entry)?.outcome ?? []),
  );
  const sources = outcomes.map(sourceOf);
  await recentKeys.open(sources);
  const receipts = await book.open(sources, own);
  const { fresh, gaps, repeats } = takeReceipts(entries, receipts);
  const judged: readonly Judged[] = isDecided(replay)
    ? withDecisions(fresh, replay.decisions)
    : judgeAll(fresh, await presentRows(store, recentKeys, block, fresh));
  return { block, judged, gaps, receipts: receipts.added, repeats };
}

/** Drops every record whose source has a receipt, also one earlier in the block. */
function takeReceipts(entries: readonly LogEntry[], receipts: BlockReceipts) {
  const fresh: Countable[] = [];
  const gaps: Gap[] = [];
  let repeats = 0;
  for (const entry of entries) {
    if (entry.kind === 'gap') {
      const range = sourceOf(entry.outcome);
      const free = receipts.free(range);
      for (const each of free) receipts.take({ ...range, ...each });
      if (free.length > 0) gaps.push({ offset: entry.offset, outcome: entry.outcome, free });
      else repeats++;
      continue;
    }
    const countable = countableOf(entry);
    if (!countable) continue;
    const range = sourceOf(countable.outcome);
    if (receipts.isTaken(range, range.first)) {
      repeats++;
      continue;
    }
    receipts.take(range);
    fresh.push(countable);
  }
  return { fresh, gaps, repeats };
}

/** The rows that earlier blocks hold of the messages that may have one: recently seen, sent long ago, flagged or replayed. */
async function presentRows(
  store: FactStore,
  recentKeys: RecentKeys,
  block: BlockId,
  fresh: readonly Countable[],
): Promise<Map<string, PresentRow>> {
  const asked = new Map<string, ChatOutcome>();
  for (const { outcome } of fresh) {
    const isFirst = outcome.revision === 0 && !outcome.recheck && !recentKeys.mayBeOlder(outcome);
    if (isFirst && !recentKeys.mayHave(keyCrc(outcome))) continue;
    asked.set(keyText(outcome), outcome);
  }
  const present = new Map<string, PresentRow>();
  if (asked.size === 0) return present;
  for (const row of await store.presentRows([...asked.values()], block)) {
    const key = keyText(row);
    const other = present.get(key);
    if (!other || row.revision > other.revision) present.set(key, row);
  }
  return present;
}

/** In log order; what a record of the block puts there is present for those behind it. */
function judgeAll(fresh: readonly Countable[], present: Map<string, PresentRow>): Judged[] {
  return fresh.map((entry) => {
    const { outcome } = entry;
    const key = keyText(outcome);
    const found =
      present.get(key) ?? (outcome.revision > 0 ? present.get(keyText(deadKey(outcome.origin))) : undefined);
    const verdict = judge(outcome, found);
    if (verdict.kind === 'replace') present.delete(keyText(verdict.replaced));
    if (verdict.kind !== 'duplicate') present.set(key, presentAfter(outcome, verdict));
    return { ...entry, verdict };
  });
}

/**
 * @throws {Error} when a record was decoded then and cannot be now: a registry that lost a schema is an outage, not
 *   poison, and the block waits for it.
 */
function withDecisions(fresh: readonly Countable[], decisions: readonly Decision[]): Judged[] {
  const byOffset = new Map(decisions.map((decision) => [decision.log_offset, decision]));
  return fresh.map((entry) => {
    const decision = byOffset.get(entry.offset);
    if (entry.undecodable && !decision) {
      throw new Error(`offset ${entry.offset} could be decoded when its block was begun: a schema is missing`);
    }
    return { ...entry, verdict: decision ? verdictOf(decision) : { kind: 'first' } };
  });
}

const verdictOf = ({ verdict, replaced }: Decision): Verdict =>
  verdict === 'replace' ? { kind: 'replace', replaced: JSON.parse(replaced) as PresentRow } : { kind: verdict };

/** What has to be on record before the first row of the block: all that could come out differently later. */
export const decisionsOf = ({ judged }: BlockPlan): Decision[] =>
  judged
    .filter(({ verdict, undecodable }) => verdict.kind !== 'first' || undecodable)
    .map(({ offset, verdict, undecodable }) => ({
      log_offset: offset,
      verdict: verdict.kind,
      undecodable: undecodable ? 1 : 0,
      replaced: verdict.kind === 'replace' ? JSON.stringify(verdict.replaced) : '',
    }));

/** The plan under the decisions that are on record. */
export const underDecisions = (plan: BlockPlan, decisions: readonly Decision[]): BlockPlan => ({
  ...plan,
  judged: withDecisions(plan.judged, decisions),
});

/** The rows to insert, the same for the same plan. */
export function rowsOf({ block, judged, gaps }: BlockPlan, isLegacy = false): IngestRow[] {
  const rows: IngestRow[] = [];
  for (const { offset, outcome, verdict } of judged) {
    const place = { block, offset, isLegacy };
    if (verdict.kind === 'first') rows.push(factRow(outcome, place));
    else if (verdict.kind === 'duplicate') rows.push(duplicateRow(outcome, place));
    else rows.push(...replacementRows(outcome, verdict.replaced, place));
  }
  for (const { offset, outcome, free } of gaps) {
    for (const { first, last } of free) rows.push(gapRow(outcome, first, last, { block, offset, isLegacy }));
  }
  return rows;
}
