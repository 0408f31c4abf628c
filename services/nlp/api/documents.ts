import { type Refusal, refusal } from './error-codes.ts';
import { MAX_BATCH_DOCUMENTS, MAX_ID_UNITS, MAX_TEXT_UNITS } from './limits.ts';

/** What a caller wants analysed. `language` is a hint (a BCP 47 tag), used where the text itself is too short to say. */
export interface Document {
  readonly id: string;
  readonly text: string;
  readonly language: string | undefined;
}

export type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

const accept = <T>(value: T): Checked<T> => ({ ok: true, value });
const refuse = (...reason: Parameters<typeof refusal>): Checked<never> => ({ ok: false, refusal: refusal(...reason) });

const LANGUAGE_TAG = /^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,4}$/;

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Checks one document; `where` is how its fields are called in messages (`` or `documents[3].`). */
export function readDocument(value: unknown, where = ''): Checked<Document> {
  if (!isObject(value)) {
    const name = where === '' ? 'the body' : where.slice(0, -1);
    return refuse('invalid_field', `${name} is ${kindOf(value)}; allowed is an object with id and text`);
  }
  const { id, text, language } = value;
  if (typeof id !== 'string' || id.length === 0 || id.length > MAX_ID_UNITS) {
    const found = typeof id === 'string' ? `a string of ${id.length} characters` : kindOf(id);
    return refuse(
      'invalid_field',
      `${where}id is ${found}; allowed is a string of 1 to ${MAX_ID_UNITS} UTF-16 code units`,
    );
  }
  if (typeof text !== 'string') {
    return refuse('invalid_field', `${where}text is ${kindOf(text)}; allowed is a string, which may be empty`);
  }
  if (text.length > MAX_TEXT_UNITS) {
    return refuse(
      'text_too_long',
      `${where}text has ${text.length} UTF-16 code units; allowed are at most ${MAX_TEXT_UNITS}`,
    );
  }
  if (language !== undefined && (typeof language !== 'string' || !LANGUAGE_TAG.test(language))) {
    const found = typeof language === 'string' ? 'not a language tag' : kindOf(language);
    return refuse('invalid_field', `${where}language is ${found}; allowed is a BCP 47 tag such as de or pt-BR`);
  }
  return accept({ id, text, language });
}

/** The documents of a batch as they came: each is checked on its own, so that a bad one never fails its neighbours. */
export function readBatch(value: unknown): Checked<readonly unknown[]> {
  const documents = isObject(value) ? value['documents'] : undefined;
  if (!Array.isArray(documents) || documents.length === 0) {
    const found = Array.isArray(documents) ? 'empty' : kindOf(documents);
    return refuse(
      'invalid_field',
      `documents is ${found}; allowed is an array of 1 to ${MAX_BATCH_DOCUMENTS} documents`,
    );
  }
  if (documents.length > MAX_BATCH_DOCUMENTS) {
    return refuse(
      'batch_too_large',
      `documents has ${documents.length} items; allowed are at most ${MAX_BATCH_DOCUMENTS}`,
    );
  }
  return accept(documents);
}

/** The id of a document that was refused, if it has a usable one. */
export function idOf(value: unknown): string | null {
  const id = isObject(value) ? value['id'] : undefined;
  return typeof id === 'string' && id.length <= MAX_ID_UNITS ? id : null;
}
