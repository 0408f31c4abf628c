import type { BotIdentity } from '../../core/bot-identity.ts';
import type { FinalNackCode } from '../../core/wire-codes.ts';
import type { Limits } from '../config.ts';
import type { ValidMessage } from '../intake/valid-message.ts';
import { CLAIM_FIELDS, type Field, MESSAGE_FIELDS, type MessageField } from './message-fields.ts';

/** Why a frame is refused: answered by a nack where `id` is usable, else by an error frame. */
export interface Refusal {
  readonly kind: 'refused';
  readonly id: string | undefined;
  readonly code: FinalNackCode;
  /** Names the field, what was wrong and what is allowed. */
  readonly message: string;
}

export type FrameCheck = { readonly kind: 'message'; readonly message: ValidMessage } | Refusal;

type Json = Record<string, unknown>;

const FIELDS = Object.entries(MESSAGE_FIELDS) as [MessageField, Field][];
const CLAIMS = Object.entries(CLAIM_FIELDS) as [string, keyof BotIdentity][];
const NO_METADATA: ReadonlyMap<string, string> = new Map();

const refuse = (id: string | undefined, code: FinalNackCode, message: string): Refusal => ({
  kind: 'refused',
  id,
  code,
  message,
});

function parseObject(data: string): { readonly kind: 'object'; readonly frame: Json } | Refusal {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return refuse(undefined, 'malformed', 'the frame is not JSON; allowed is one JSON object a text frame');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(undefined, 'malformed', 'the frame is JSON but no object; allowed is one JSON object a text frame');
  }
  return { kind: 'object', frame: value as Json };
}

/**
 * Checks a text frame field by field. Never throws; unknown fields are ignored, so that newer clients can talk to older
 * gateways; `null` stands for a missing optional field.
 */
export function validateFrame(data: string, limits: Limits, identity: BotIdentity): FrameCheck {
  const parsed = parseObject(data);
  if (parsed.kind === 'refused') return parsed;
  const { frame } = parsed;
  const id = MESSAGE_FIELDS.id.check(frame['id'], limits) ? undefined : (frame['id'] as string);
  const { type } = frame;
  if (type !== 'message') {
    return typeof type === 'string'
      ? refuse(id, 'unknown_type', `type is ${JSON.stringify(type.slice(0, 40))}; allowed is "message"`)
      : refuse(id, 'invalid_field', `type ${type === undefined ? 'is missing' : 'is no string'}; allowed is "message"`);
  }
  for (const [field, claim] of CLAIMS) {
    const claimed = frame[field];
    if (claimed === undefined || claimed === null || claimed === identity[claim]) continue;
    return refuse(id, 'forbidden', `${field} is not the token's ${claim}; allowed is the token's own, or none`);
  }
  for (const [name, { required, check }] of FIELDS) {
    const value = frame[name];
    if (!required && (value === undefined || value === null)) continue;
    const problem = check(value, limits);
    if (problem) return refuse(id, problem.code, `${name} ${problem.message}`);
  }
  return { kind: 'message', message: toMessage(frame) };
}

function toMessage(frame: Json): ValidMessage {
  const metadata = frame['metadata'] as Record<string, string> | null | undefined;
  return {
    id: frame['id'] as string,
    conversationId: frame['conversation_id'] as string,
    speaker: frame['speaker'] as string,
    text: frame['text'] as string,
    sentAt: frame['sent_at'] as number,
    attempt: (frame['attempt'] as number | null | undefined) ?? 1,
    userId: (frame['user_id'] as string | null | undefined) ?? null,
    channel: (frame['channel'] as string | null | undefined) ?? null,
    botVersion: (frame['bot_version'] as string | null | undefined) ?? null,
    metadata: metadata ? new Map(Object.entries(metadata)) : NO_METADATA,
  };
}
