import { createRequire } from 'node:module';
import { cuss as english } from 'cuss';
import { cuss as spanish } from 'cuss/es';
import { cuss as french } from 'cuss/fr';
import { cuss as italian } from 'cuss/it';
import { cuss as portuguese } from 'cuss/pt';

const require = createRequire(import.meta.url);
const { profaneWords } = require('@2toad/profanity/dist/data/profane-words.js') as {
  profaneWords: ReadonlyMap<string, readonly string[]>;
};

/** `cuss` (MIT) rates how sure it is that a word is meant profanely: 0 unlikely, 1 maybe, 2 likely. */
const WEIGHT_OF_RATING = [0, 0.25, 0.6] as const;
/** Words that only the second list has. */
const WEIGHT_OF_LISTED = 0.55;

const RATED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  en: english,
  es: spanish,
  fr: french,
  it: italian,
  pt: portuguese,
};

const cache = new Map<string, ReadonlyMap<string, number>>();

/** Words of a language that may offend, each with its weight. English ones count in every language: chat borrows them. */
export function toxicWords(language: string): ReadonlyMap<string, number> {
  const known = cache.get(language);
  if (known) return known;
  const words = new Map<string, number>();
  for (const code of new Set([language, 'en'])) {
    const rated = RATED[code] ?? {};
    for (const word of profaneWords.get(code) ?? []) if (!(word in rated)) words.set(word, WEIGHT_OF_LISTED);
    for (const [word, rating] of Object.entries(rated)) words.set(word, WEIGHT_OF_RATING[rating as 0 | 1 | 2] ?? 0);
  }
  cache.set(language, words);
  return words;
}
