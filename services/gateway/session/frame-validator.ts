import type { BotIdentity } from '../../core/bot-identity.ts';
import type { FinalNackCode } from '../../core/wire-codes.ts';
import type { Limits } from '../config.ts';
import type { Bound } from '../handshake/claims.ts';
import type { ValidMessage } from '../intake/valid-message.ts';
import {
  type FrameRepair,
  type Json,
  normalizeFrame,
  parseWritten,
  TRUNCATED_KEY,
  truncateText,
} from './frame-normalizer.ts';
import { CLAIM_FIELDS, type Field, MESSAGE_FIELDS, type MessageField } from './message-fields.ts';

/** Why a frame is refused: answered by a nack where `id` is usable, else by an error frame. */
export interface Refusal {
  readonly kind: 'refused';
  readonly id: string | undefined;
  readonly conversationId: string | undefined;
  readonly code: FinalNackCode;
  /** Names the field, what was wrong and what is allowed. */
  readonly message: string;
}

export type FrameCheck =
  | { readonly kind: 'message'; readonly message: ValidMessage; readonly repairs: readonly FrameRepair[] }
  /** A heartbeat: answered by `pong`. */
  | { readonly kind: 'ping' }
  /** The answer to a heartbeat that the gateway does not send. */
  | { readonly kind: 'pong' }
  | Refusal;

/** Whom a sender speaks for, and what its token is good for alone. */
export interface Sender extends BotIdentity {
  readonly bound?: Bound;
}

export interface FrameRules {
  readonly limits: Limits;
  /** `truncate`: a text that is too long keeps its beginning instead of being refused. */
  readonly textTooLong: 'refuse' | 'truncate';
}

const FIELDS = Object.entries(MESSAGE_FIELDS) as [MessageField, Field][];
const CLAIMS = Object.entries(CLAIM_FIELDS) as [string, keyof BotIdentity][];
const NO_METADATA: ReadonlyMap<string, string> = new Map();
/** Windows tools put it before a text. */
const BYTE_ORDER_MARK = 0xfeff;

/** The names of a message that is refused, as far as they are usable. */
type Names = Pick<Refusal, 'id' | 'conversationId'>;
const NAMELESS: Names = { id: undefined, conversationId: undefined };

const refuse = (names: Names, code: FinalNackCode, message: string): Refusal => ({
  kind: 'refused',
  ...names,
  code,
  message,
});

function parseObject(data: string): { readonly kind: 'object'; readonly frame: Json } | Refusal {
  let value: unknown;
  try {
    value = JSON.parse(data.charCodeAt(0) === BYTE_ORDER_MARK ? data.slice(1) : data);
  } catch {
    return refuse(NAMELESS, 'malformed', 'the frame is not JSON; allowed is one JSON object a text frame');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(NAMELESS, 'malformed', 'the frame is JSON but no object; allowed is one JSON object a text frame');
  }
  return { kind: 'object', frame: value as Json };
}

/**
 * Checks a text frame field by field. Never throws; unknown fields are ignored, so that newer clients can talk to older
 * gateways; `null` stands for a missing optional field.
 */
export function validateFrame(data: string, rules: FrameRules, sender: Sender): FrameCheck {
  const parsed = parseObject(data);
  if (parsed.kind === 'refused') return parsed;
  const { frame } = parsed;
  if (frame['type'] === 'ping' || frame['type'] === 'pong') return { kind: frame['type'] };
  return validateMessage(frame, () => parseWritten(data), rules, sender);
}

const usable = (frame: Json, field: 'id' | 'conversation_id', limits: Limits): string | undefined =>
  MESSAGE_FIELDS[field].check(frame[field], limits) ? undefined : (frame[field] as string);

/** Checks one message that is parsed already. @param written the same by {@link parseWritten}. */
export function validateMessage(
  frame: Json,
  written: () => Json,
  { limits, textTooLong }: FrameRules,
  sender: Sender,
): Extract<FrameCheck, { kind: 'message' | 'refused' }> {
  let repairs = normalizeFrame(frame, written);
  const truncatedFrom = textTooLong === 'truncate' ? truncateText(frame, limits) : undefined;
  if (truncatedFrom !== undefined) repairs = [...repairs, 'text_truncated'];
  const names: Names = { id: usable(frame, 'id', limits), conversationId: usable(frame, 'conversation_id', limits) };
  const { type } = frame;
  if (type !== 'message') {
    return typeof type === 'string'
      ? refuse(names, 'unknown_type', `type is ${JSON.stringify(type.slice(0, 40))}; allowed is "message"`)
      : refuse(
          names,
          'invalid_field',
          `type ${type === undefined ? 'is missing' : 'is no string'}; allowed is "message"`,
        );
  }
  for (const [field, claim] of CLAIMS) {
    const claimed = frame[field];
    if (claimed === undefined || claimed === null || claimed === sender[claim]) continue;
    return refuse(names, 'forbidden', `${field} is not the token's ${claim}; allowed is the token's own, or none`);
  }
  for (const [name, { required, check }] of FIELDS) {
    const value = frame[name];
    if (!required && (value === undefined || value === null)) continue;
    const problem = check(value, limits);
    if (problem) return refuse(names, problem.code, `${name} ${problem.message}`);
  }
  const foreign = sender.bound && foreignField(frame, sender.bound);
  if (foreign)
    return refuse(names, 'forbidden', `${foreign} is not the one that the token is bound to; allowed is that alone`);
  if (sender.bound?.userId !== undefined) frame['user_id'] = sender.bound.userId;
  return { kind: 'message', message: toMessage(frame, truncatedFrom), repairs };
}

/** The field that names another than the token is bound to; a user who is not named is the token's. */
function foreignField(frame: Json, { conversationId, userId, speaker }: Bound): MessageField | undefined {
  if (conversationId !== undefined && frame['conversation_id'] !== conversationId) return 'conversation_id';
  if (speaker !== undefined && frame['speaker'] !== speaker) return 'speaker';
  return userId !== undefined && (frame['user_id'] ?? userId) !== userId ? 'user_id' : undefined;
}

function toMessage(frame: Json, truncatedFrom: number | undefined): ValidMessage {
  const metadata = frame['metadata'] as Record<string, string | null> | null | undefined;
  return {
    id: frame['id'] as string,
    conversationId: frame['conversation_id'] as string,
    speaker: frame['speaker'] as string,
    text: frame['text'] as string,
    sentAt: Math.round(frame['sent_at'] as number),
    attempt: (frame['attempt'] as number | null | undefined) ?? 1,
    userId: (frame['user_id'] as string | null | undefined) ?? null,
    channel: (frame['channel'] as string | null | undefined) ?? null,
    botVersion: (frame['bot_version'] as string | null | undefined) ?? null,
    metadata: metadataOf(metadata, truncatedFrom),
  };
}

function metadataOf(
  metadata: Record<string, string | null> | null | undefined,
  truncatedFrom: number | undefined,
): ReadonlyMap<string, string> {
  if (!metadata && truncatedFrom === undefined) return NO_METADATA;
  const entries = Object.entries(metadata ?? {}).filter((entry): entry is [string, string] => entry[1] !== null);
  const map = new Map(entries);
  if (truncatedFrom !== undefined) map.set(TRUNCATED_KEY, String(truncatedFrom));
  return map;
}
