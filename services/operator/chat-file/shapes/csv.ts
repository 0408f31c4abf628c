import { pipeline, Readable } from 'node:stream';
import { type Info, parse } from 'csv-parse';
import type { Line } from '../lines.ts';
import type { Shape } from '../shape.ts';
import { looksLikeMessage, messagesOf } from './plain.ts';

const DELIMITERS = [',', ';', '\t', '|'] as const;
/** The most that a quote which never ends takes for one record. */
const MAX_RECORD_CHARS = 1 << 20;

/** `Conversation ID` is `conversation_id`. */
const fieldOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[\s-]+/g, '_');

/** The one that makes the most columns of the first line. */
const delimiterOf = (header: string): string =>
  DELIMITERS.reduce((best, each) => (header.split(each).length > header.split(best).length ? each : best));

const headingsOf = (header: string): string[] =>
  header.split(delimiterOf(header)).map((heading) => fieldOf(heading.replace(/^"|"\s*$/g, '')));

/** Cells by their heading, and by the name of the field that it is; what is empty is not there. */
const recordOf = (cells: Readonly<Record<string, string>>): Record<string, string> => {
  const filled = Object.entries(cells).filter(([, cell]) => cell !== '');
  return Object.fromEntries([...filled.map(([heading, cell]) => [fieldOf(heading), cell] as const), ...filled]);
};

/** Empty lines do not come; those inside of quotes are known by the gap in the numbers. */
async function* textOf(lines: AsyncIterable<Line>): AsyncGenerator<string, void> {
  let last = 1;
  for await (const { number, text } of lines) {
    yield '\n'.repeat(number - last) + (text ?? '');
    last = number;
  }
}

/** A table with a line of headings: one message a row, in the names of the shape `messages`. */
export const csvShape: Shape = {
  name: 'csv',
  title: 'CSV, one message a row',
  recognise: ({ kind, ...sample }) => {
    const [header] = kind === 'text' && 'lines' in sample ? sample.lines : [];
    if (header === undefined) return undefined;
    const fields = Object.fromEntries(headingsOf(header).map((heading) => [heading, '']));
    return looksLikeMessage(fields) ? { lists: [] } : undefined;
  },
  async *records(lines, [header = '']) {
    // The reader sees an error at the end of the rows; the callback keeps it from being thrown elsewhere too.
    const rows = pipeline(
      Readable.from(textOf(lines)),
      parse({
        columns: true,
        delimiter: delimiterOf(header),
        info: true,
        relax_column_count: true,
        relax_quotes: true,
        skip_empty_lines: true,
        max_record_size: MAX_RECORD_CHARS,
      }),
      () => {},
    );
    for await (const { record, info } of rows as Readable as AsyncIterable<{
      record: Record<string, string>;
      info: Info;
    }>) {
      yield { value: recordOf(record), place: { line: info.lines, character: null } };
    }
  },
  messages: messagesOf,
};
