import { DocumentParser, JsonFault } from './document-parser.ts';
import { exactNumber } from './json-value.ts';

/** Sixteen digits in a row may be an integer above 2^53, which has sixteen. */
const MAY_BE_LARGE = /\d{16}/;

/** One JSON text, large integers as their digits. @throws {JsonFault} with the place of what is wrong */
export function parseJson(text: string): unknown {
  try {
    if (!MAY_BE_LARGE.test(text)) return JSON.parse(text);
    return JSON.parse(text, (_, value: unknown, context?: { source?: string }) =>
      typeof value === 'number' && context?.source !== undefined ? exactNumber(context.source) : value,
    );
  } catch {
    throw faultOf(text);
  }
}

/** JSON.parse does not always say where; the streaming parser does. */
function faultOf(text: string): JsonFault {
  const parser = new DocumentParser([]);
  try {
    parser.write(Buffer.from(text));
    parser.end();
  } catch (error) {
    if (error instanceof JsonFault) return error;
  }
  // Two values on one line, or a depth that only one of the parsers refuses.
  return new JsonFault({ line: 1, character: null }, null);
}
