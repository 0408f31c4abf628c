import { ParleyError } from '../../core/errors.ts';
import type { ChatLine } from '../chat-line.ts';
import { type Decoded, decode } from './decode.ts';
import { DocumentParser, type Element, JsonFault } from './document-parser.ts';
import { type FinishOptions, finish } from './finish.ts';
import { peek } from './head.ts';
import { parseJson } from './json-text.ts';
import { isObject } from './json-value.ts';
import type { LeftOut } from './left-out.ts';
import { MAX_LINE_BYTES, splitLines } from './lines.ts';
import { candidates } from './lists.ts';
import type { Place } from './places.ts';
import { SAMPLE_BYTES, sampleOf } from './sample.ts';
import { isOmission, type RecordContext, type Sample, type Shape } from './shape.ts';
import { type Recognised, recognise, SHAPE_NAMES, SHAPES } from './shapes.ts';
import { openParts, type Part, unreadable } from './unpack.ts';

/** What was recognised of a file, or of a file within an archive. */
export interface InputFacts {
  readonly path: string;
  readonly shape: string;
  readonly title: string;
  /** `JSON Lines`, `text`, or the list of a document: `JSON, messages[]`. */
  readonly form: string;
  readonly packing: string | null;
  readonly encoding: Decoded['encoding'];
}

/** What was mended on the way, over all files. */
export interface Mended {
  /** Keys of metadata that no message may carry. */
  metadata_keys: number;
  /** Bytes that are no text, each replaced by U+FFFD. */
  bytes: number;
}

export interface ReadOptions extends FinishOptions {
  /** The name of a shape instead of recognising it. */
  readonly as?: string | undefined;
  /** Names conversations that have no id: two runs are two conversations, as their messages are. */
  readonly origin: string;
  readonly stdin: () => AsyncIterable<Buffer>;
  readonly onInput: (facts: InputFacts) => void;
  readonly mended: Mended;
}

/** Options of who reads a file's texts and nothing else. */
const PLAIN_READING: ReadOptions = {
  map: new Map(),
  speakers: new Map(),
  keepTimes: false,
  origin: 'file',
  stdin: () => process.stdin as AsyncIterable<Buffer>,
  onInput: () => {},
  mended: { metadata_keys: 0, bytes: 0 },
};

/**
 * The messages of files in any shape that is known, in the order of the files, and what is left out of them.
 *
 * @throws {ParleyError} INPUT_UNREADABLE; INPUT_SHAPE_UNKNOWN for a file (a file within an archive is left out)
 */
export async function* readChats(
  files: readonly string[],
  options: ReadOptions = PLAIN_READING,
): AsyncGenerator<ChatLine | LeftOut, void> {
  let ordinal = 0;
  for (const file of files) {
    for await (const part of openParts(file, options.stdin)) {
      ordinal += 1;
      try {
        yield* new PartReader(part, ordinal, options).read();
      } catch (error) {
        throw unreadable(part.path, error);
      }
    }
  }
}

/** Reads one file, or one file of an archive. */
class PartReader {
  readonly #part: Part;
  readonly #options: ReadOptions;
  /** Before ids that are made up: files after the first have their number there. */
  readonly #prefix: string;
  readonly #fileConversation: string;
  #records = 0;

  constructor(part: Part, ordinal: number, options: ReadOptions) {
    this.#part = part;
    this.#options = options;
    this.#prefix = ordinal === 1 ? '' : `f${ordinal}.`;
    this.#fileConversation = ordinal === 1 ? options.origin : `${options.origin}-f${ordinal}`;
  }

  async *read(): AsyncGenerator<ChatLine | LeftOut, void> {
    const { path, packing } = this.#part;
    const decoded = await decode(this.#part.chunks);
    const { head, complete, chunks } = await peek(decoded.chunks, SAMPLE_BYTES);
    if (head.length === 0) return;
    const sample = sampleOf(head, complete);
    const found = this.#recognise(sample);
    if (!found) {
      await chunks.return();
      yield* this.#unknown(sample);
      return;
    }
    const { shape, layout } = found;
    const form = sample.kind === 'document' ? `JSON, ${layout.lists.map(listName).join(' and ')}` : FORMS[sample.kind];
    this.#options.onInput({ path, shape: shape.name, title: shape.title, form, packing, encoding: decoded.encoding });
    if (sample.kind === 'document') yield* this.#document(chunks, sample.root, found);
    else if (sample.kind === 'lines') yield* this.#lines(chunks, shape);
    else yield* this.#text(chunks, sample.lines, shape);
    this.#options.mended.bytes += decoded.replaced();
  }

  #recognise(sample: Sample): Recognised | undefined {
    const { as, map } = this.#options;
    const shape = SHAPES.find(({ name }) => name === (as ?? (map.size > 0 ? MAPPED_SHAPES[sample.kind] : undefined)));
    const known = as === undefined ? recognise(sample) : undefined;
    if (known || !shape) return known;
    const isText = shape.records !== undefined;
    if (isText !== (sample.kind === 'text')) return undefined;
    const [list] = candidates(sample);
    return { shape, layout: shape.recognise(sample) ?? { lists: list?.path ? [list.path] : [] } };
  }

  *#unknown(sample: Sample): Generator<LeftOut> {
    const { path, packing } = this.#part;
    const [list] = candidates(sample);
    const [record] = list?.elements ?? [];
    const what = record
      ? `its records hold ${Object.keys(record).slice(0, 12).join(', ')}`
      : sample.kind === 'text'
        ? 'it is text that is no JSON'
        : 'it holds no list of objects';
    const problem = `has no shape that is known: ${what}; --as says which it is (${SHAPE_NAMES.join(', ')}), --map text=FIELD where the text is`;
    if (packing?.startsWith('zip') !== true) throw new ParleyError('INPUT_SHAPE_UNKNOWN', `${path} ${problem}.`);
    yield { reason: 'unknown_shape', problem, file: path, place: { line: 1, character: 1 } };
  }

  async *#lines(chunks: AsyncIterable<Buffer>, shape: Shape): AsyncGenerator<ChatLine | LeftOut, void> {
    for await (const { number, text } of splitLines(chunks)) {
      const place = { line: number, character: null };
      if (text === null) {
        yield this.#leftOut('too_long', `is longer than ${MAX_LINE_BYTES} bytes`, place);
        continue;
      }
      let value: unknown;
      try {
        value = parseJson(text);
      } catch (error) {
        yield this.#notJson(error, number - 1);
        continue;
      }
      yield* this.#messages(shape, value, [], place, String(number));
    }
  }

  async *#document(
    chunks: AsyncIterable<Buffer>,
    root: unknown,
    { shape, layout }: Recognised,
  ): AsyncGenerator<ChatLine | LeftOut, void> {
    const parser = new DocumentParser(layout.lists.length > 0 ? layout.lists : ['$']);
    // Fields of the root that stand behind the list, where the document is small enough for the sample to hold them.
    const late = isObject(root) ? root : {};
    let [documents, current]: [number, unknown] = [0, undefined];
    const messages = function* (this: PartReader, { value, headers, ...place }: Element) {
      const [first, ...inner] = headers;
      if (first !== current || !first) documents += 1;
      current = first;
      const around = first && documents === 1 ? [{ ...late, ...first }, ...inner] : headers;
      const conversation = documents > 1 && first ? `${this.#fileConversation}-${documents}` : this.#fileConversation;
      yield* this.#messages(shape, value, around, place, String(++this.#records), conversation);
    }.bind(this);
    let fault: unknown;
    const attempt = (work: () => void) => {
      try {
        work();
      } catch (error) {
        fault = error;
      }
    };
    for await (const chunk of chunks) {
      attempt(() => parser.write(chunk));
      for (const element of parser.take()) yield* messages(element);
      if (fault !== undefined) break;
    }
    if (fault === undefined) attempt(() => parser.end());
    for (const element of parser.take()) yield* messages(element);
    if (fault !== undefined) yield this.#notJson(fault, 0, ', and what follows is not read');
  }

  async *#text(chunks: AsyncIterable<Buffer>, sample: readonly string[], shape: Shape) {
    for await (const { value, place } of shape.records?.(splitLines(chunks), sample) ?? []) {
      yield* this.#messages(shape, value, [], place, String(place.line));
    }
  }

  *#messages(
    shape: Shape,
    record: unknown,
    headers: RecordContext['headers'],
    place: Place,
    id: string,
    fileConversation = this.#fileConversation,
  ): Generator<ChatLine | LeftOut, void> {
    const { mended } = this.#options;
    const context = {
      headers,
      path: this.#part.path,
      recordId: `${this.#prefix}${id}`,
      fileConversation,
      people: this.#part.people,
    };
    for (const draft of shape.messages(record, context)) {
      const done = isOmission(draft)
        ? draft
        : finish(draft, this.#options, (keys) => {
            mended.metadata_keys += keys;
          });
      yield 'reason' in done ? this.#leftOut(done.reason, done.problem, place) : done;
    }
  }

  #leftOut(reason: LeftOut['reason'], problem: string, place: Place): LeftOut {
    return { reason, problem, file: this.#part.path, place };
  }

  #notJson(error: unknown, linesBefore: number, consequence = ''): LeftOut {
    if (!(error instanceof JsonFault)) throw error;
    const { place, found, message } = error;
    const where = { ...place, line: linesBefore + place.line };
    return { ...this.#leftOut('not_json', `${message}${consequence}`, where), found };
  }
}

/** What a mapping is read with where nothing is recognised. */
const MAPPED_SHAPES = { lines: 'messages', document: 'messages', text: 'csv' } as const;
const FORMS = { lines: 'JSON Lines', text: 'text' } as const;
const listName = (path: string): string => path.replace(/^\$\.?/, '').replace(/\.?\*/g, '[]') || 'one object';
