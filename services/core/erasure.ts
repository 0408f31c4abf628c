import { createHash } from 'node:crypto';
import type { EpochMs } from './brands.ts';

/** Whose words are erased: a user of a tenant, a conversation of a bot, or a bot. */
export type ErasureSubject =
  | { readonly scope: 'user'; readonly tenant: string; readonly user: string }
  | { readonly scope: 'conversation'; readonly tenant: string; readonly bot: string; readonly conversation: string }
  | { readonly scope: 'bot'; readonly tenant: string; readonly bot: string };

/** What of a message says under which subjects it falls. */
export interface Erasable {
  readonly tenant_id: string;
  readonly bot_id: string;
  readonly conversation_id: string;
  /** Empty or null: nobody's. */
  readonly user_id: string | null;
  readonly sent_at: number;
  readonly received_at: number;
}

function namesOf(subject: ErasureSubject): readonly string[] {
  if (subject.scope === 'user') return [subject.user];
  return subject.scope === 'bot' ? [subject.bot] : [subject.bot, subject.conversation];
}

/** `erasures.subject`; `erasure/stored-words.ts` has ClickHouse compute the same. */
export const subjectHash = (subject: ErasureSubject): string =>
  createHash('sha256')
    .update([subject.scope, subject.tenant, ...namesOf(subject)].join('\0'))
    .digest('hex');

/** Hashes of all subjects that a message falls under. */
export function subjectHashes({ tenant_id: tenant, bot_id: bot, conversation_id, user_id }: Erasable): string[] {
  const subjects: ErasureSubject[] = [
    { scope: 'bot', tenant, bot },
    { scope: 'conversation', tenant, bot, conversation: conversation_id },
    ...(!user_id ? [] : [{ scope: 'user', tenant, user: user_id } as const]),
  ];
  return subjects.map(subjectHash);
}

/**
 * Whether a message was said before its erasure's end: a resend is received later than it was sent, and a bot whose clock
 * is ahead sends later than it is received.
 */
export const isBefore = ({ sent_at, received_at }: Erasable, until: EpochMs): boolean =>
  Math.min(sent_at, received_at) <= until;
