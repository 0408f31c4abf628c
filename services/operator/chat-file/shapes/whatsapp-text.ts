import type { Line } from '../lines.ts';

/** One entry of a WhatsApp export, which may go on over several lines. */
export interface WhatsAppEntry {
  readonly line: number;
  /** Milliseconds since the epoch, in this machine's time zone: the export names none. */
  readonly time: number;
  /** Null for what the app says itself. */
  readonly name: string | null;
  readonly text: string;
}

type Order = 'dmy' | 'mdy' | 'ymd';

const DATE = String.raw`(\d{1,4})([./-])(\d{1,2})[./-](\d{1,4})`;
/** `22:15`, `22:15:01`, `10:15 PM`, `10:15 p. m.`; the space may be a narrow one. */
const CLOCK = String.raw`(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?:\s?([ap])\.?\s?m\.?)?`;
/** iPhone: `[31.12.23, 22:15:01] Name: text`; Android: `31.12.23, 22:15 - Name: text`. Marks of direction may stand before. */
const IPHONE = new RegExp(String.raw`^[\u200e\u200f]*\[${DATE},?\s+${CLOCK}\]\s(.*)$`, 'is');
const ANDROID = new RegExp(String.raw`^[\u200e\u200f]*${DATE},?\s+${CLOCK}\s[-–]\s(.*)$`, 'is');
const SAID = /^([^:]{1,200}): (.*)$/s;

/** The gateway's largest frame is smaller; memory stays bounded when lines without a date follow. */
const MAX_TEXT_CHARS = 1 << 20;

const match = (line: string): RegExpExecArray | null => IPHONE.exec(line) ?? ANDROID.exec(line);

export const looksLikeWhatsApp = (lines: readonly string[]): boolean => lines.some((line) => match(line) !== null);

/**
 * Whether days stand before months: decided by a number above 12 in the beginning of the file; without one by the app's habit,
 * which puts months first only together with a slash and a.m. or p.m.
 */
export function dateOrder(lines: readonly string[]): Order {
  const dates = lines.map(match).filter((found) => found !== null);
  if (dates.some(([, first = '']) => first.length === 4)) return 'ymd';
  if (dates.some(([, first]) => Number(first) > 12)) return 'dmy';
  if (dates.some(([, , , second]) => Number(second) > 12)) return 'mdy';
  return dates.some(([, , separator, , , , , , half]) => separator === '/' && half !== undefined) ? 'mdy' : 'dmy';
}

function timeOf(found: RegExpExecArray, order: Order): number {
  const [, first, , second, third, hour, minute, seconds = '0', half] = found;
  const [a, b, c] = [Number(first), Number(second), Number(third)];
  const [year, month, day] = order === 'ymd' ? [a, b, c] : order === 'mdy' ? [c, a, b] : [c, b, a];
  const hours = half === undefined ? Number(hour) : (Number(hour) % 12) + (half.toLowerCase() === 'p' ? 12 : 0);
  return new Date(year < 100 ? 2_000 + year : year, month - 1, day, hours, Number(minute), Number(seconds)).getTime();
}

/** The entries of an export, in order; lines before the first date are left out. */
export async function* entriesOf(lines: AsyncIterable<Line>, order: Order): AsyncGenerator<WhatsAppEntry, void> {
  let open: WhatsAppEntry | undefined;
  let last = 0;
  for await (const { number, text: given } of lines) {
    const text = (given ?? '').replace(/\r$/, '');
    const found = match(text);
    if (found) {
      if (open) yield open;
      const rest = found[9] ?? '';
      const [, name = null, said = rest] = SAID.exec(rest) ?? [];
      open = { line: number, time: timeOf(found, order), name, text: said };
    } else if (open && open.text.length < MAX_TEXT_CHARS) {
      // Empty lines do not come; they are known by the gap in the numbers.
      const gap: string = '\n'.repeat(Math.min(number - last, 3));
      open = { ...open, text: `${open.text}${gap}${text}` };
    }
    last = number;
  }
  if (open) yield open;
}
