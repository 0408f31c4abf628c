import { ParleyClientError, textOf } from './errors.ts';
import type { OutgoingMessage } from './frames.ts';
import { newId } from './new-id.ts';

/** A message as it waits: its frame but for `attempt`, which rises with each unclear send. */
export interface EncodedMessage {
  readonly id: string;
  readonly conversationId: string;
  /** 1 for the first send; a higher number makes Parley look for an earlier one. */
  readonly attempt: number;
  /** The frame's JSON without its closing brace and without `attempt`. */
  readonly head: string;
}

const START = '{"type":"message"';

/**
 * Written once, when the caller hands it over: what cannot be written is refused there and then, and what the caller changes
 * afterwards changes nothing.
 *
 * @param maxIdChars as the gateway announced it.
 * @throws {ParleyClientError} `invalid_message`
 */
export function encodeMessage(message: OutgoingMessage, nowMs: number, maxIdChars: number): EncodedMessage {
  if (typeof message !== 'object' || message === null) throw invalid(`the message is ${typeof message}, not an object`);
  try {
    const {
      type: _,
      toJSON: __,
      id,
      conversation_id,
      sent_at,
      attempt,
      ...rest
    } = message as OutgoingMessage & {
      type?: unknown;
      toJSON?: unknown;
    };
    const names = {
      id: idOf('id', id ?? newId(), maxIdChars),
      conversation_id: idOf('conversation_id', conversation_id, maxIdChars),
    };
    const text = JSON.stringify({ type: 'message', ...names, ...rest, sent_at: sent_at ?? nowMs });
    if (!text.startsWith(START)) throw invalid('it turns itself into something else');
    return {
      id: names.id,
      conversationId: names.conversation_id,
      attempt: attemptOf(attempt),
      head: text.slice(0, -1),
    };
  } catch (error) {
    if (error instanceof ParleyClientError) throw error;
    throw invalid(textOf(error), error);
  }
}

export const frameOf = ({ head }: EncodedMessage, attempt: number): string => `${head},"attempt":${attempt}}`;

const invalid = (why: string, cause?: unknown): ParleyClientError =>
  new ParleyClientError('invalid_message', `the message cannot be sent: ${why}`, { cause });

/** An id that the gateway cannot use is answered by an `error` that names none, so the message would wait for ever. */
function idOf(field: string, value: unknown, maxChars: number): string {
  const id = typeof value === 'bigint' || Number.isSafeInteger(value) ? String(value) : value;
  if (typeof id !== 'string') throw invalid(`${field} is ${value === null ? 'null' : typeof value}, not a string`);
  const chars = [...id].length;
  if (chars < 1 || chars > maxChars) throw invalid(`${field} has ${chars} characters; allowed are 1 to ${maxChars}`);
  if (/\0|\p{Surrogate}/u.test(id)) throw invalid(`${field} holds half a character, or U+0000`);
  return id;
}

function attemptOf(value: unknown): number {
  if (value === undefined || value === null) return 1;
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > 0x7fff_ffff) {
    throw invalid('attempt is no integer from 1');
  }
  return value as number;
}
