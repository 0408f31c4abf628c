import type { Limits } from '../config.ts';

/** A change that was made to a frame so that an honest message is not lost; each kind is counted. */
export type FrameRepair = 'lone_surrogate' | 'text_truncated';

export type Json = Record<string, unknown>;

/** Fields whose numbers are taken as their digits: other systems number their conversations, messages and users. */
const NAMES = ['id', 'conversation_id', 'user_id', 'channel', 'bot_version'] as const;
/** Those of them that must be integers: a name with a fraction is a mistake. */
const IDENTIFIERS: readonly string[] = ['id', 'conversation_id'];
/** Strings in which half a character is replaced. In ids and keys it is refused: two of them could become one. */
const LABELS = ['user_id', 'channel', 'bot_version'] as const;

/** Key in metadata that marks a text of which only the beginning was kept; its value is the whole length in characters. */
export const TRUNCATED_KEY = 'text_truncated';

const NO_REPAIRS: readonly FrameRepair[] = [];

/** A number as it was written. JSON.parse rounds above 2^53. */
class WrittenNumber {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

/**
 * Brings a parsed frame into the form that the checks know, in place: numbers of names and metadata become their exact
 * digits, booleans text, a time that is text its number, half characters become U+FFFD. Any other value stays as it is, and
 * its check refuses it.
 *
 * @param written the frame once more by {@link parseWritten}, for the digits of large numbers.
 * @returns what was repaired.
 */
export function normalizeFrame(frame: Json, written: () => Json): readonly FrameRepair[] {
  takeDigits(frame, written);
  const repairs = wellFormed(frame);
  const { sent_at: sentAt } = frame;
  if (typeof sentAt === 'string' && /^\d{1,16}(\.\d{1,16})?$/.test(sentAt)) frame['sent_at'] = Number(sentAt);
  return repairs;
}

function takeDigits(frame: Json, parseAgain: () => Json): void {
  let written: Json | undefined;
  const digitsOf = (value: number, from: (root: Json) => unknown): string | undefined => {
    if (Number.isSafeInteger(value)) return String(value);
    written ??= parseAgain();
    const found = from(written);
    return found instanceof WrittenNumber ? found.source : undefined;
  };
  for (const name of NAMES) {
    const value = frame[name];
    if (typeof value !== 'number') continue;
    const digits = digitsOf(value, (root) => root[name]);
    if (digits === undefined || (IDENTIFIERS.includes(name) && !/^-?\d+$/.test(digits))) continue;
    frame[name] = digits;
  }
  const metadata = frame['metadata'];
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return;
  for (const key of Object.keys(metadata)) {
    const value = (metadata as Json)[key];
    if (typeof value === 'boolean') setOwn(metadata, key, String(value));
    else if (typeof value === 'number') {
      const digits = digitsOf(value, (root) => (root['metadata'] as Json)[key]);
      if (digits !== undefined) setOwn(metadata, key, digits);
    }
  }
}

/** An assignment to `__proto__` would change the object's prototype. */
const setOwn = (object: object, key: string, value: string): void => {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
};

/** The frame once more, numbers that are no safe integers as they were written. Twice the price, so only where needed. */
export function parseWritten(data: string): Json {
  try {
    return JSON.parse(data, (_, value: unknown, context?: { source?: string }) =>
      typeof value === 'number' && !Number.isSafeInteger(value) && context?.source !== undefined
        ? new WrittenNumber(context.source)
        : value,
    ) as Json;
  } catch {
    // Nested deeper than the stack allows: such a number stays as it is and is refused.
    return { metadata: {} };
  }
}

function wellFormed(frame: Json): readonly FrameRepair[] {
  let repaired = false;
  const repair = (holder: object, key: string) => {
    const value = (holder as Json)[key];
    if (typeof value !== 'string' || value.isWellFormed()) return;
    setOwn(holder, key, value.toWellFormed());
    repaired = true;
  };
  repair(frame, 'text');
  for (const name of LABELS) repair(frame, name);
  const metadata = frame['metadata'];
  if (typeof metadata === 'object' && metadata !== null) for (const key of Object.keys(metadata)) repair(metadata, key);
  return repaired ? ['lone_surrogate'] : NO_REPAIRS;
}

/** Keeps the beginning of a text that is too long, in whole characters. @returns how many it had, if it was too long. */
export function truncateText(frame: Json, { max_text_chars: maxChars }: Limits): number | undefined {
  const { text } = frame;
  if (typeof text !== 'string' || text.length <= maxChars) return undefined;
  let [chars, end] = [0, 0];
  for (const char of text) {
    chars += 1;
    if (chars <= maxChars) end += char.length;
  }
  if (chars <= maxChars) return undefined;
  frame['text'] = text.slice(0, end);
  return chars;
}
