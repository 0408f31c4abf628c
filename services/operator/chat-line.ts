/** One line of a file. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** Null for a line beyond {@link MAX_LINE_BYTES}. */
  readonly text: string | null;
}

/** A message's text has at most 8,192 characters, so a longer line is no message; memory stays bounded. */
export const MAX_LINE_BYTES = 1 << 20;

/** A message as it is to be sent, but for its time. Everything beyond the structure is the gateway's to judge. */
export interface ChatLine {
  /** The file's own id, else the number of the line. */
  readonly id: string;
  readonly conversation_id: string;
  readonly speaker: string;
  readonly text: string;
  /** Milliseconds since the epoch, where the file says. */
  readonly sent_at: number | null;
  readonly user_id?: string;
  readonly channel?: string;
  readonly bot_version?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface BadLine {
  readonly line: number;
  readonly problem: string;
}

export const isBadLine = (parsed: ChatLine | BadLine): parsed is BadLine => 'problem' in parsed;

const REQUIRED = ['conversation_id', 'speaker', 'text'] as const;
const OPTIONAL = ['user_id', 'channel', 'bot_version'] as const;
const MAX_ID_CHARS = 95;
/** Unix times below this are seconds: in milliseconds they would lie before March 1973. */
const SECONDS_BELOW = 100_000_000_000;

/**
 * The gateway answers a frame whose id it cannot use with an `error` that names none, so such an id is refused here.
 * With the run's id (at most 32 characters) before it an id stays within the gateway's default of 128.
 */
const isUsableId = (id: unknown): id is string | number =>
  (typeof id === 'number' && Number.isFinite(id)) ||
  (typeof id === 'string' && id !== '' && id.length <= MAX_ID_CHARS && id.isWellFormed() && !id.includes('\0'));

/** One line of a JSON Lines file; fields that Parley does not know are ignored. */
export function parseChatLine({ number, text }: Line): ChatLine | BadLine {
  const bad = (problem: string): BadLine => ({ line: number, problem });
  if (text === null) return bad(`is longer than ${MAX_LINE_BYTES} bytes`);
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    return bad('is not JSON');
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return bad('is not a JSON object');
  const record = fields as Record<string, unknown>;
  for (const name of REQUIRED) {
    if (typeof record[name] !== 'string') return bad(`has no string "${name}"`);
  }
  const { id = number } = record;
  if (!isUsableId(id)) return bad(`has an "id" that is no number and no string of 1 to ${MAX_ID_CHARS} characters`);
  const sentAt = record['sent_at'] ?? record['ts'] ?? null;
  if (sentAt !== null && (typeof sentAt !== 'number' || !Number.isFinite(sentAt))) {
    return bad('has a "sent_at" or "ts" that is not a number');
  }
  const optional = Object.fromEntries(
    OPTIONAL.filter((name) => typeof record[name] === 'string').map((name) => [name, record[name]]),
  );
  return {
    id: String(id),
    conversation_id: record['conversation_id'] as string,
    speaker: record['speaker'] as string,
    text: record['text'] as string,
    sent_at: sentAt === null ? null : Math.round(sentAt < SECONDS_BELOW ? sentAt * 1_000 : sentAt),
    ...optional,
    ...(typeof record['metadata'] === 'object' &&
      record['metadata'] !== null && { metadata: record['metadata'] as Record<string, string> }),
  };
}
