import { PHRASES } from './phrases.ts';

/** Dialogue acts that have phrases of their own. */
export const PHRASE_ACTS = [
  'greeting',
  'goodbye',
  'thanks',
  'apology',
  'confirmation',
  'rejection',
  'complaint',
  'request',
  'question',
] as const;
export type PhraseAct = (typeof PHRASE_ACTS)[number];

/** Languages written without spaces: phrases match anywhere there. */
const UNSPACED = new Set(['zh', 'ja', 'th']);

/** Lower case, no punctuation, single spaces: how phrases are written and compared. */
export const plain = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll('’', "'")
    .replace(/[^\p{L}\p{M}\p{N}']+/gu, ' ')
    .trim();

const phrasesOf = (list: string): string[] => list.split('|').map((phrase) => phrase.trim());
const escapeForPattern = (phrase: string) => phrase.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

function compile(language: string, list: string): RegExp {
  // The longest alternative first, so that "thank you" is found where "thank" would do.
  const alternatives = phrasesOf(list)
    .sort((a, b) => b.length - a.length)
    .map(escapeForPattern)
    .join('|');
  const pattern = UNSPACED.has(language) ? `(?:${alternatives})` : `(?<![^ ])(?:${alternatives})(?![^ ])`;
  return new RegExp(pattern, 'gu');
}

type ActPatterns = ReadonlyMap<PhraseAct, RegExp>;

const patterns: ReadonlyMap<string, ActPatterns> = new Map(
  Object.entries(PHRASES).map(([language, acts]) => [
    language,
    new Map(Object.entries(acts).map(([act, list]) => [act as PhraseAct, compile(language, list)])),
  ]),
);

/** The patterns of a language's dialogue acts; English ones serve languages that have none. */
export function actPatterns(language: string): ActPatterns {
  return patterns.get(language) ?? patterns.get('en') ?? new Map();
}

/** Whole messages that are a phrase of some language: `danke` is German however few letters it has. */
const wholePhrases: ReadonlyMap<string, ReadonlyMap<string, PhraseAct>> = (() => {
  const byPhrase = new Map<string, Map<string, PhraseAct>>();
  for (const [language, acts] of Object.entries(PHRASES)) {
    for (const [act, list] of Object.entries(acts)) {
      for (const phrase of phrasesOf(list)) {
        const languages = byPhrase.get(phrase) ?? new Map<string, PhraseAct>();
        if (!languages.has(language)) languages.set(language, act as PhraseAct);
        byPhrase.set(phrase, languages);
      }
    }
  }
  return byPhrase;
})();

const LONGEST_PHRASE_UNITS = 40;

/** The language of a message that is nothing but a known phrase: the hinted one if it has it, else the first listed. */
export function languageOfPhrase(text: string, hinted: string | undefined): string | undefined {
  if (text.length > LONGEST_PHRASE_UNITS) return undefined;
  const languages = wholePhrases.get(plain(text));
  if (!languages) return undefined;
  return hinted !== undefined && languages.has(hinted) ? hinted : languages.keys().next().value;
}
