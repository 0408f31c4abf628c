import type { ChatEvent, Coordinates } from '../core/records.ts';
import { MAX_REPLAYS } from '../core/wire-codes.ts';
import type { ReadLetter } from './dead-letters.ts';

/** A message's row in `messages`, as far as a replay has to know it. */
export interface LetterRow {
  readonly outcome: string;
  readonly revision: number;
}

/** What ClickHouse knows of a letter's message. */
export interface LetterState {
  /** Undefined where there is no row (yet). */
  readonly row: LetterRow | undefined;
  /** Its text must not be sent anywhere again. */
  readonly isErased: boolean;
}

/** Why a dead letter is not replayed. The first three mean that nothing is left to do for it. */
export const SKIP_REASONS = {
  already_repaired: 'the message is enriched by now',
  newer_letter: 'a later dead letter of the same message stands for it',
  erased: 'what it said was erased (parley forget)',
  undecodable: 'its bytes are no chat event of any known schema',
  replay_exhausted: 'it was replayed three times and failed each time',
  stub: 'it was too large to keep: its bytes are gone',
  not_an_event: 'it is an outcome that the sink could not read, not an event',
  no_origin: 'nothing says which record it was made of',
} as const;
export type SkipReason = keyof typeof SKIP_REASONS;

const SETTLED: readonly SkipReason[] = ['already_repaired', 'newer_letter', 'erased'];
/** Whether a skip leaves work undone. */
export const isFailure = (reason: SkipReason): boolean => !SETTLED.includes(reason);

export type LetterVerdict =
  | { readonly kind: 'replay'; readonly event: ChatEvent }
  | { readonly kind: 'skip'; readonly why: SkipReason };

const skip = (why: SkipReason): LetterVerdict => ({ kind: 'skip', why });

/** The message's first place; null where the letter's headers lack it. */
export function originOf({ letter, event }: ReadLetter, replayTopic: string): Coordinates | null {
  if (event?.origin) return event.origin;
  return letter.failedRecord?.topic === replayTopic ? null : letter.failedRecord;
}

/**
 * What a replay does with a dead letter, given what is known of its message. The event keeps its identity: its outcome
 * takes the place of that row and is never counted beside it. `supersedes` is the row's revision, so that of two replays
 * that race the sink drops the second as a duplicate.
 */
export function judgeLetter(
  read: ReadLetter,
  { row: present, isErased }: LetterState,
  run: { readonly id: string; readonly replayTopic: string },
): LetterVerdict {
  const { letter, event } = read;
  if (letter.reason === 'unknown') return skip('no_origin');
  if (letter.reason === 'outcome_undecodable') return skip('not_an_event');
  if (letter.stub) return skip('stub');
  if (!event) return skip('undecodable');
  if (isErased) return skip('erased');
  const origin = originOf(read, run.replayTopic);
  if (!origin) return skip('no_origin');
  // The revision of the outcome that this letter came with.
  const own = event.supersedes === null ? 0 : event.supersedes + 1;
  if (present?.outcome === 'enriched') return skip('already_repaired');
  if (present && present.revision > own) return skip('newer_letter');
  if (letter.reason === 'replay_exhausted' || event.replay_attempt >= MAX_REPLAYS) return skip('replay_exhausted');
  return {
    kind: 'replay',
    event: { ...event, origin, supersedes: own, replay_id: run.id, replay_attempt: event.replay_attempt + 1 },
  };
}
