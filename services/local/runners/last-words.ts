import type { LogFile } from '../process/log-file.ts';

const LINES = 8;
const MAX_CHARS = 400;
/** Divides the runs of a part in its log. */
const START_MARK = '──── started';

export const startLine = (): string => `${START_MARK} ${new Date().toISOString()}\n`;

interface LogRecord {
  readonly level?: string;
  readonly message?: string;
  readonly err?: { readonly message?: string };
}

/** Our services log JSON: of that, level, message and the error's own words; any other line as it is. */
function readable(line: string): string {
  try {
    const { level, message, err } = JSON.parse(line) as LogRecord;
    return [level, message, err?.message].filter((item) => item !== undefined).join(': ');
  } catch {
    return line;
  }
}

/** What a part wrote last in its last run, for the sentence that says why it is down. */
export function lastWords(log: LogFile): string {
  const tail = log.tail(200);
  const lines = tail
    .slice(tail.findLastIndex((line) => line.startsWith(START_MARK)) + 1)
    .slice(-LINES)
    .map((line) => `  ${readable(line).slice(0, MAX_CHARS)}`);
  return `Log: ${log.path}. ${lines.length === 0 ? 'It wrote nothing.' : `Its last lines:\n${lines.join('\n')}`}`;
}
