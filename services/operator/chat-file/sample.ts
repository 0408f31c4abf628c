import { DocumentParser, JsonFault } from './document-parser.ts';
import { parseJson } from './json-text.ts';
import { isObject } from './json-value.ts';
import type { Sample } from './shape.ts';

/** What a shape is recognised by. */
export const SAMPLE_BYTES = 1 << 18;
const MAX_LINES = 200;
/** A message of an app begins with a date in brackets, which is no JSON list. */
const TEXT_BRACKET = /^\[\d{1,4}[./-]\d{1,2}[./-]\d{1,4}[,.\s]/;

/**
 * What the beginning of a text is: JSON Lines when one of several lines is an object by itself, a JSON document when it begins like one, else
 * text.
 */
export function sampleOf(head: Buffer, complete: boolean): Sample {
  const text = head.toString('utf8');
  const start = text.trimStart();
  const lines = text.split('\n').slice(0, MAX_LINES + 1);
  // The last line may be cut, unless this is all.
  const whole = (complete || lines.length > MAX_LINES ? lines.slice(0, MAX_LINES) : lines.slice(0, -1)).filter(
    (line) => line.trim() !== '',
  );
  const isList = start.startsWith('[') && !TEXT_BRACKET.test(start);
  // One line that is all may be an object around a list: it is read as a document.
  if (!isList && !(complete && whole.length === 1 && start.startsWith('{'))) {
    const records = whole.flatMap((line) => {
      const record = line.startsWith('{') ? objectOn(line) : undefined;
      return isObject(record) ? [record] : [];
    });
    if (records.length > 0) return { kind: 'lines', records };
  }
  if (!isList && !start.startsWith('{')) return { kind: 'text', lines: whole };
  return { kind: 'document', root: beginningOf(head) };
}

function objectOn(line: string): unknown {
  try {
    return parseJson(line);
  } catch {
    return undefined;
  }
}

/** As much of a document as is there; what is wrong in it shows when it is read. */
function beginningOf(head: Buffer): unknown {
  const parser = new DocumentParser([]);
  try {
    parser.write(head);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
  }
  return parser.root;
}
