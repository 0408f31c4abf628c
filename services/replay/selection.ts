import type { EpochMs } from '../core/brands.ts';
import type { OffsetRange } from '../core/offset-ranges.ts';
import type { ChatEvent } from '../core/records.ts';
import type { DeadLetter } from './dead-letter-record.ts';

/** Which dead letters are meant: those that meet all that is given. */
export interface Selection {
  /** Any of these. */
  readonly reasons?: readonly DeadLetter['reason'][];
  /** Failed at this time or later, and before that. */
  readonly from?: EpochMs;
  readonly to?: EpochMs;
  readonly tenant?: string;
  readonly bot?: string;
  readonly conversation?: string;
  /** A partition of `chat.dlq`. */
  readonly partition?: number;
  /** Offsets of `chat.dlq` in that partition. */
  readonly offsets?: OffsetRange;
}

/** Whether the event has to be decoded for the choice. */
export const asksForEvent = ({ tenant, bot, conversation }: Selection): boolean =>
  tenant !== undefined || bot !== undefined || conversation !== undefined;

/** The part of the choice that headers and place alone decide. */
export function matchesLetter({ reasons, from, to, partition, offsets }: Selection, letter: DeadLetter): boolean {
  if (reasons && reasons.length > 0 && !reasons.includes(letter.reason)) return false;
  if (from !== undefined && letter.failedAt < from) return false;
  if (to !== undefined && letter.failedAt >= to) return false;
  if (partition !== undefined && letter.partition !== partition) return false;
  return !offsets || (letter.offset >= offsets.first && letter.offset <= offsets.last);
}

/** The rest; a record that does not decode belongs to no tenant, bot or conversation. */
export function matchesEvent(selection: Selection, event: ChatEvent | null): boolean {
  if (!asksForEvent(selection)) return true;
  if (!event) return false;
  const { tenant, bot, conversation } = selection;
  return (
    (tenant === undefined || event.tenant_id === tenant) &&
    (bot === undefined || event.bot_id === bot) &&
    (conversation === undefined || event.conversation_id === conversation)
  );
}
