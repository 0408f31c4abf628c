import { randomBytes } from 'node:crypto';
import { type EpochMs, epochMs } from '../core/brands.ts';
import type { Clock } from '../core/clock.ts';
import type { ErasureSubject } from '../core/erasure.ts';
import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { beginErasure, type Erasure, type ErasureOutcome, finishErasure } from './erasures.ts';
import { type StoredWords, WordStore } from './stored-words.ts';

export interface ForgetOptions {
  readonly clickhouse: ClickHouse;
  readonly subject: ErasureSubject;
  readonly clock: Clock;
  /** Ends the waiting; ClickHouse goes on with what is under way. */
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
  readonly pollMs?: number;
}

export interface Forgotten {
  readonly erasureId: string;
  readonly until: EpochMs;
  /** What was stored when the run began. */
  readonly found: StoredWords;
  readonly left: StoredWords;
  readonly outcome: ErasureOutcome;
  /** Why it is incomplete; null otherwise. */
  readonly problem: string | null;
}

/**
 * Clocks of bots may be five minutes ahead of the gateway's, and the gateways' own differ from this one's: what is said
 * within so long after the erasure is erased as well.
 */
const AHEAD_MS = 300_000;
const POLL_MS = 250;
/** An insert may take as long as the sink waits for it, and its client's socket: past this something is wrong. */
const INSERTS_MS = 300_000;
/** One pass is enough (see {@link forget}); a second one is for rows that somebody inserted by hand meanwhile. */
const PASSES = 3;

/** What was said until when falls under an erasure that begins now. */
export const untilOf = (clock: Clock): EpochMs => epochMs(clock.now() + AHEAD_MS);

/**
 * Blanks what a subject said in all that ClickHouse stores, for good. Why nothing is left and nothing comes back:
 *
 * 1. The row in `erasures` comes first. The view that stores facts refuses every block whose sink does not know all rows of
 *    that table, so an insert that begins later stores no words of the subject.
 * 2. Inserts that began earlier are waited for: they are the only ones that may still bring words in.
 * 3. Only then are the parts rewritten that hold any: all of them are there by now.
 *
 * Rows keep their keys, numbers and places, and a table its memory of insert tokens, so a block that is inserted again
 * finds what it found before. A run that is killed leaves 1. behind, or a rewrite that goes on by itself; another run does
 * the rest. Nothing is done twice: a blank row is none of the subject's any more.
 */
export async function forget(options: ForgetOptions): Promise<Forgotten> {
  const { clickhouse, subject, clock, progress } = options;
  const store = new WordStore(clickhouse);
  await store.assertGuarded();
  const until = untilOf(clock);
  const id = `${clock.now().toString(36)}${randomBytes(3).toString('hex')}`;
  const erasure: Erasure = { id, subject, until, startedAt: clock.now() };
  const found = await store.count(subject, until);
  await beginErasure(clickhouse, erasure);
  progress(`Erasure ${id} holds from now on.`);
  const { rows, problem } = await blankAll(store, until, options);
  const left = await store.count(subject, until);
  const outcome = outcomeOf(left, problem, options.signal);
  const blanked = Math.max(0, rows - left.rows);
  await finishErasure(clickhouse, erasure, { at: clock.now(), blanked, outcome });
  return { erasureId: id, until, found, left, outcome, problem };
}

function outcomeOf(left: StoredWords, problem: string | null, signal: AbortSignal): ErasureOutcome {
  if (left.rows === 0 && problem === null) return 'done';
  return signal.aborted ? 'interrupted' : 'incomplete';
}

interface Blanking {
  /** Rows that it was told to blank. */
  readonly rows: number;
  /** What kept it from being done; null when it is. */
  readonly problem: string | null;
}

async function blankAll(store: WordStore, until: EpochMs, options: ForgetOptions): Promise<Blanking> {
  const { subject } = options;
  let rows = 0;
  let problem = await waitForInserts(store, options);
  for (let pass = 1; pass <= PASSES && problem === null; pass++) {
    problem = await waitForRewrite(store, options);
    if (problem !== null) break;
    const left = (await store.count(subject, until)).rows;
    if (left === 0) return { rows, problem };
    rows += left;
    await store.blank(subject, until);
  }
  return { rows, problem: problem ?? (await waitForRewrite(store, options)) };
}

const INTERRUPTED = 'interrupted';

async function waitForInserts(store: WordStore, options: ForgetOptions): Promise<string | null> {
  const { clock, signal, pollMs = POLL_MS } = options;
  const begunMs = clock.monotonicMs();
  for (;;) {
    const ageMs = clock.monotonicMs() - begunMs;
    const inserts = await store.insertsOlderThan(ageMs);
    if (inserts === 0) return null;
    if (signal.aborted) return INTERRUPTED;
    if (ageMs > INSERTS_MS) return `${inserts} inserts that began before the erasure do not end`;
    options.progress(`waiting for ${inserts} inserts that began before`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function waitForRewrite(store: WordStore, options: ForgetOptions): Promise<string | null> {
  const { subject, signal, progress, pollMs = POLL_MS } = options;
  let told = '';
  for (;;) {
    const rewrite = await store.rewriting(subject);
    if (!rewrite) return null;
    if (signal.aborted) return INTERRUPTED;
    if (rewrite.failure !== '') return `ClickHouse cannot rewrite the facts: ${rewrite.failure}`;
    const line = `rewriting the facts, ${rewrite.partsLeft} parts left`;
    if (line !== told) progress(line);
    told = line;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
