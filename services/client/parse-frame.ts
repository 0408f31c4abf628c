import { countOr, delayMs } from './bounds.ts';
import type { Insight, ServerFrame, WelcomeLimits } from './frames.ts';

const DEFAULT_PING_MS = 25_000;
const MIN_PING_MS = 20;
const MAX_PING_MS = 600_000;
const DEFAULT_IN_FLIGHT = 1;
/** Whatever the gateway announces: one connection's acks name at most so many messages. */
const MAX_IN_FLIGHT = 65_536;
const DEFAULT_FRAME_BYTES = 65_536;

type Fields = Readonly<Record<string, unknown>>;

/**
 * What the other end says is held against what the protocol allows before anything is done with it.
 *
 * @returns undefined for what is no frame of Parley's; `unknown` for one that a newer gateway may send.
 */
export function parseFrame(data: string): ServerFrame | undefined {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Fields;
  if (typeof fields['type'] !== 'string') return undefined;
  const read = READERS[fields['type'] as keyof typeof READERS];
  return Object.hasOwn(READERS, fields['type']) ? read(fields) : { type: 'unknown' };
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);
const textOr = (value: unknown, fallback: string): string => (isText(value) ? value : fallback);

const READERS = {
  welcome: ({ session, limits }: Fields): ServerFrame | undefined =>
    typeof limits === 'object' && limits !== null
      ? { type: 'welcome', session: textOr(session, ''), limits: limitsOf(limits as Fields) }
      : undefined,

  ack: ({ ids, conversation_ids, differs }: Fields): ServerFrame | undefined =>
    isTexts(ids)
      ? {
          type: 'ack',
          ids,
          ...(isTexts(conversation_ids) && { conversation_ids }),
          ...(isTexts(differs) && { differs }),
        }
      : undefined,

  nack: ({ id, conversation_id, code, message, retry_after_ms }: Fields): ServerFrame | undefined =>
    isText(id) && isText(code)
      ? ({
          type: 'nack',
          id,
          ...(isText(conversation_id) && { conversation_id }),
          code,
          message: textOr(message, code),
          ...(typeof retry_after_ms === 'number' && { retry_after_ms }),
        } as ServerFrame)
      : undefined,

  error: ({ code, message, retry_after_ms }: Fields): ServerFrame => ({
    type: 'error',
    code: textOr(code, 'unknown'),
    message: textOr(message, ''),
    ...(typeof retry_after_ms === 'number' && { retry_after_ms }),
  }),

  goaway: ({ reconnect_after_ms }: Fields): ServerFrame => ({
    type: 'goaway',
    reconnect_after_ms: delayMs(reconnect_after_ms),
  }),

  token_expiring: ({ expires_in_ms }: Fields): ServerFrame => ({
    type: 'token_expiring',
    expires_in_ms: delayMs(expires_in_ms),
  }),

  insight: (fields: Fields): ServerFrame | undefined =>
    isText(fields['id']) && isText(fields['conversation_id'])
      ? { ...(fields as unknown as Insight), type: 'insight' }
      : undefined,
} as const;

function limitsOf(announced: Fields): WelcomeLimits {
  const numbers = Object.entries(announced).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number' && Number.isFinite(entry[1]),
  );
  const ping = delayMs(announced['ping_interval_ms'], MAX_PING_MS);
  return {
    ...Object.fromEntries(numbers),
    max_frame_bytes: countOr(announced['max_frame_bytes'], DEFAULT_FRAME_BYTES),
    max_in_flight: Math.min(countOr(announced['max_in_flight'], DEFAULT_IN_FLIGHT), MAX_IN_FLIGHT),
    ping_interval_ms: ping === 0 ? DEFAULT_PING_MS : Math.max(ping, MIN_PING_MS),
  };
}
