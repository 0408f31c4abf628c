import { ParleyError } from '../../../core/errors.ts';
import type { NlpDocument } from './provider.ts';

const PLACEHOLDER = /^\$(?:documents|text|id|index)$/;

/** JSON text in pieces; between two of them a placeholder's value. */
interface Template {
  readonly pieces: readonly string[];
  readonly placeholders: readonly string[];
}

export interface RequestTemplate {
  /** False: the API takes one document. */
  readonly isList: boolean;
  readonly requestOverheadBytes: number;
  readonly documentOverheadBytes: number;
  /** The body of a request. */
  render(documents: readonly NlpDocument[]): string;
}

/** @throws {ParleyError} CONFIG_INVALID where a placeholder is missing or out of place. */
export function compileRequest(body: unknown, document: unknown): RequestTemplate {
  const outer = compile(body);
  const isList = outer.placeholders.includes('$documents');
  if (!isList) {
    requireText(outer, 'request.body');
    const overhead = bytesOf(outer);
    return {
      isList,
      requestOverheadBytes: overhead,
      documentOverheadBytes: 0,
      render: (documents) => fill(outer, (name) => placed(name, documents[0] as NlpDocument, 0)),
    };
  }
  if (outer.placeholders.length > 1) throw wrong('request.body holds another placeholder besides "$documents"');
  const inner = compile(document ?? '$text');
  requireText(inner, 'request.document');
  return {
    isList,
    requestOverheadBytes: bytesOf(outer) + 2,
    // A comma, and an index of up to four digits in quotes.
    documentOverheadBytes: bytesOf(inner) + 7,
    render: (documents) => {
      const list = documents.map((each, index) => fill(inner, (name) => placed(name, each, index)));
      return `${outer.pieces[0]}[${list.join(',')}]${outer.pieces[1]}`;
    },
  };
}

function compile(template: unknown): Template {
  const placeholders: string[] = [];
  // A noncharacter, which no text holds, marks the places.
  const marked = JSON.stringify(template, (_key, value: unknown) => {
    if (typeof value !== 'string' || !PLACEHOLDER.test(value)) return value;
    placeholders.push(value);
    return MARK;
  });
  return { pieces: marked.split(JSON.stringify(MARK)), placeholders };
}
const MARK = '\u{10ffff}';

function requireText({ placeholders }: Template, where: string): void {
  if (!placeholders.includes('$text')) throw wrong(`${where} holds no "$text"`);
  if (placeholders.includes('$documents')) throw wrong(`${where} holds "$documents"`);
}

function fill({ pieces, placeholders }: Template, value: (name: string) => string): string {
  let filled = pieces[0] as string;
  for (let index = 0; index < placeholders.length; index++) {
    filled += value(placeholders[index] as string) + (pieces[index + 1] as string);
  }
  return filled;
}

function placed(name: string, { id, text }: NlpDocument, index: number): string {
  if (name === '$index') return String(index);
  return JSON.stringify(name === '$text' ? text : id);
}

const bytesOf = ({ pieces, placeholders }: Template): number =>
  pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 2 * placeholders.length);

const wrong = (problem: string) => new ParleyError('CONFIG_INVALID', `NLP_MAPPING is wrong: ${problem}`);
