import { Tokenizer, TokenParser, TokenType } from '@streamparser/json';
import { exactNumber, isObject, type Json } from './json-value.ts';
import { type Place, Places } from './places.ts';

/** One element of the list that is read, with the objects around it, outermost first. */
export interface Element extends Place {
  readonly value: unknown;
  readonly headers: readonly Json[];
}

/** Why a text is no JSON, and where. */
export class JsonFault extends Error {
  readonly place: Place;
  /** The character that cannot stand there; null for the end of the text. */
  readonly found: string | null;

  constructor(place: Place, found: string | null, problem = 'is not JSON') {
    super(problem);
    this.place = place;
    this.found = found;
  }
}

/** What may stand between two elements, or be one: what is larger is no chat message, and memory stays bounded. */
const MAX_ELEMENT_BYTES = 32 << 20;
const STRING_BUFFER_BYTES = 1 << 16;

class ExactTokenizer extends Tokenizer {
  protected override parseNumber(written: string): number {
    return exactNumber(written) as number;
  }
}

/**
 * Parses JSON that comes in chunks, and hands out the elements of the lists at `paths` (`$.messages.*`) as soon as each is
 * complete. An element is forgotten at once, so memory holds one element and the fields around the lists.
 * Several documents after each other are read like one.
 */
export class DocumentParser {
  readonly #tokenizer = new ExactTokenizer({ separator: '', stringBufferSize: STRING_BUFFER_BYTES });
  readonly #parser: TokenParser;
  readonly #places = new Places();
  /** Where the containers that are open began. */
  readonly #starts: Place[] = [];
  #lastToken = 0;
  #elements: Element[] = [];
  #place: Place = { line: 1, character: 1 };
  #bytes = 0;
  #sinceElement = 0;
  #root: unknown;

  /** @param paths none: nothing is handed out, and {@link root} holds all that was read. */
  constructor(paths: readonly string[]) {
    this.#parser = new TokenParser({ separator: '', ...(paths.length > 0 && { paths: [...paths] }) });
    this.#parser.onValue = ({ value, key, parent, stack }) => {
      const containers: unknown[] = [...stack.slice(1).map((element) => element.value), ...(parent ? [parent] : [])];
      this.#root ??= containers[0] ?? value;
      if (paths.length === 0) return;
      this.#elements.push({ value, headers: containers.filter(isObject), ...this.#place });
      if (Array.isArray(parent)) parent.length = 0;
      else if (isObject(parent)) delete (parent as Record<string, unknown>)[String(key)];
      this.#sinceElement = 0;
    };
    this.#tokenizer.onToken = (token) => {
      this.#note(token.token, token.offset);
      this.#parser.write(token);
    };
  }

  /** The document as far as it was read; objects and lists that are not closed yet hold what has come. */
  get root(): unknown {
    return this.#root;
  }

  /** The elements that were completed since the last call; those before a fault too. */
  take(): Element[] {
    const elements = this.#elements;
    this.#elements = [];
    return elements;
  }

  /** @throws {JsonFault} */
  write(chunk: Uint8Array): void {
    this.#places.add(chunk, this.#lastToken);
    this.#sinceElement += chunk.length;
    this.#guarded(() => this.#tokenizer.write(chunk));
    this.#bytes += chunk.length;
    if (this.#sinceElement > MAX_ELEMENT_BYTES) {
      throw new JsonFault(this.#places.at(this.#bytes), null, `holds ${MAX_ELEMENT_BYTES} bytes without a message`);
    }
  }

  /** @throws {JsonFault} when the document is not complete */
  end(): void {
    this.#guarded(() => {
      this.#tokenizer.end();
      this.#parser.end();
    }, true);
  }

  #note(token: TokenType, offset: number): void {
    if (token === TokenType.LEFT_BRACE || token === TokenType.LEFT_BRACKET) {
      this.#place = this.#places.at(offset);
      this.#starts.push(this.#place);
    } else if (token === TokenType.RIGHT_BRACE || token === TokenType.RIGHT_BRACKET) {
      this.#place = this.#starts.pop() ?? this.#place;
    }
    this.#lastToken = offset;
  }

  #guarded(work: () => void, atEnd = false): void {
    try {
      work();
    } catch (error) {
      throw this.#faultOf(error, atEnd);
    }
  }

  /** The tokenizer names the byte in its message; what the parser refuses is the token that came last. */
  #faultOf(error: unknown, atEnd: boolean): JsonFault {
    const named = /absolute position "(\d+)"/.exec(error instanceof Error ? error.message : '');
    if (atEnd && !named) return new JsonFault(this.#places.at(this.#bytes), null);
    const offset = named ? Number(named[1]) : this.#lastToken;
    return new JsonFault(this.#places.at(offset), this.#places.characterAt(offset));
  }
}
