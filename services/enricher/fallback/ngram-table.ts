/** What `eld` ships: by n-gram the score of each language that knows it, by the language's number. */
export type Ngrams = Readonly<Record<string, Readonly<Record<number, number>>>>;

/** A table as it goes from one thread to another. */
export interface PackedNgrams {
  /** Open addressing: where in `entries` an n-gram begins, plus one; 0: nowhere. A power of two of them. */
  readonly slots: Uint32Array<ArrayBuffer>;
  /** One after another: length of the n-gram, its characters, number of languages, and language and score of each. */
  readonly entries: Uint8Array<ArrayBuffer>;
}

const MAX_BYTE = 0xff;

/** FNV-1a; undefined where a character is no byte. */
function hashOf(ngram: string): number | undefined {
  let hash = 0x811c9dc5;
  for (let at = 0; at < ngram.length; at++) {
    const unit = ngram.charCodeAt(at);
    if (unit > MAX_BYTE) return undefined;
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  return hash >>> 0;
}

/** @throws {RangeError} for n-grams that are not of bytes: a version of `eld` whose data is of another kind. */
export function packNgrams(ngrams: Ngrams): PackedNgrams {
  const entries: number[] = [];
  const names = Object.keys(ngrams);
  // At most half of the slots are taken, so that a search ends soon.
  const slots = new Uint32Array(2 ** Math.ceil(Math.log2(names.length * 2 + 1)));
  for (const name of names) {
    const scores = Object.entries(ngrams[name] ?? {});
    const numbers = [...scores.flat().map(Number), scores.length, name.length];
    const hash = hashOf(name);
    if (hash === undefined || !numbers.every(isByte)) throw new RangeError('an n-gram that is not of bytes');
    let slot = hash % slots.length;
    while (slots[slot] !== 0) slot = (slot + 1) % slots.length;
    slots[slot] = entries.length + 1;
    entries.push(name.length, ...Buffer.from(name, 'latin1'), scores.length);
    for (const [language, score] of scores) entries.push(Number(language), score);
  }
  return { slots, entries: Uint8Array.from(entries) };
}

const isByte = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= MAX_BYTE;

/** n-grams in two buffers, a megabyte; as objects they are thirty, and the garbage collector looks at each of them. */
export class NgramTable {
  readonly #slots: Uint32Array;
  readonly #entries: Uint8Array;

  constructor({ slots, entries }: PackedNgrams) {
    this.#slots = slots;
    this.#entries = entries;
  }

  /** Scores by language, or undefined where no language knows it. */
  scoresOf(ngram: string): Record<number, number> | undefined {
    const hash = hashOf(ngram);
    if (hash === undefined) return undefined;
    for (let slot = hash % this.#slots.length; ; slot = (slot + 1) % this.#slots.length) {
      const start = this.#slots[slot] as number;
      if (start === 0) return undefined;
      if (this.#isAt(start - 1, ngram)) return this.#scoresAt(start + ngram.length);
    }
  }

  #isAt(start: number, ngram: string): boolean {
    if (this.#entries[start] !== ngram.length) return false;
    for (let at = 0; at < ngram.length; at++) {
      if (this.#entries[start + 1 + at] !== ngram.charCodeAt(at)) return false;
    }
    return true;
  }

  #scoresAt(at: number): Record<number, number> {
    const scores: Record<number, number> = {};
    const end = at + 1 + 2 * (this.#entries[at] as number);
    for (let pair = at + 1; pair < end; pair += 2) {
      scores[this.#entries[pair] as number] = this.#entries[pair + 1] as number;
    }
    return scores;
  }
}
