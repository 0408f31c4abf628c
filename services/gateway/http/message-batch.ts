import { type Json, parseWritten } from '../session/frame-normalizer.ts';
import { HttpProblem } from './http-problem.ts';

export const MAX_MESSAGES = 500;

/** One message of a request, not checked yet. */
export interface BatchItem {
  readonly frame: Json;
  /** The same with its large numbers as they were written. */
  readonly written: () => Json;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * The messages of a body: `{"messages":[…]}`, or one object a line (NDJSON).
 *
 * @throws {HttpProblem} malformed or too_large, naming the item that is wrong.
 */
export function readBatch(body: string, contentType: string | undefined): readonly BatchItem[] {
  const text = body.charCodeAt(0) === 0xfeff ? body.slice(1) : body;
  const items = /ndjson|jsonl|json-?lines/i.test(contentType ?? '') ? fromLines(text) : fromDocument(text);
  if (items.length === 0) throw new HttpProblem('malformed', 'the body has no messages; allowed are 1 to 500');
  if (items.length > MAX_MESSAGES) {
    throw new HttpProblem('too_large', `the body has ${items.length} messages; allowed are at most ${MAX_MESSAGES}`);
  }
  return items;
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const allowed = '{"messages":[…]}, or one object a line as application/x-ndjson';
    throw new HttpProblem('malformed', `${what} is not JSON; allowed is ${allowed}`);
  }
}

function fromLines(text: string): BatchItem[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  // Counted before they are parsed.
  if (lines.length > MAX_MESSAGES) {
    throw new HttpProblem('too_large', `the body has ${lines.length} lines; allowed are at most ${MAX_MESSAGES}`);
  }
  return lines.map((line, index) => {
    const frame = parse(line, `line ${index + 1}`);
    if (!isObject(frame)) throw new HttpProblem('malformed', `line ${index + 1} is no object; allowed is one a line`);
    return { frame, written: () => parseWritten(line) };
  });
}

function fromDocument(text: string): BatchItem[] {
  const document = parse(text, 'the body');
  const messages = isObject(document) ? document['messages'] : undefined;
  if (!Array.isArray(messages)) {
    throw new HttpProblem('malformed', 'the body has no list "messages"; allowed is {"messages":[…]}');
  }
  let written: unknown;
  return messages.map((frame: unknown, index) => {
    if (!isObject(frame)) throw new HttpProblem('malformed', `messages[${index}] is no object; allowed are objects`);
    const again = () => {
      written ??= parseWritten(text)['messages'];
      return (Array.isArray(written) ? written[index] : { metadata: {} }) as Json;
    };
    return { frame, written: again };
  });
}
