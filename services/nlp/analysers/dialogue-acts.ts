import { PHRASES } from './phrases.ts';

/** Dialogue acts that have phrases of their own. */
const PHRASE_ACTS = [
  'greeting',
  'goodbye',
  'thanks',
  'apology',
  'confirmation',
  'rejection',
  'complaint',
  'request',
  'command',
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
    // The last letter may be drawn out: "byeee".
    .map((phrase) => (UNSPACED.has(language) ? phrase : `${phrase}+`))
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

/** Words that go with any phrase and say nothing themselves. */
export const FILLERS: ReadonlySet<string> = new Set(
  "sir madam mam ma'am maam miss dear friend bro man mate there guys everyone all very so much too well oh um uh hmm now then just again is it a the i am to".split(
    ' ',
  ),
);

/** The words of each language's phrases; with the fillers, an English chat's small change. */
const vocabularies: readonly (readonly [string, ReadonlySet<string>])[] = Object.entries(PHRASES)
  .filter(([language]) => !UNSPACED.has(language))
  .map(([language, acts]) => {
    const words = Object.values(acts).flatMap((list) => phrasesOf(list).flatMap((phrase) => phrase.split(' ')));
    return [language, new Set(language === 'en' ? [...words, ...FILLERS] : words)];
  });

const MOST_WORDS = 5;

/** `byeee` and `okk` are looked up as `bye` and `ok`. */
const undrawn = (word: string) => word.replace(/(\p{L})\1+$/u, '$1');

/**
 * The language whose chat phrases hold every word of a short message (`ok bye`, `danke schön`): the hinted one if it
 * does, else the first listed that does.
 */
export function languageOfPhrase(message: string, hinted: string | undefined): string | undefined {
  const words = message.split(' ');
  if (message === '' || words.length > MOST_WORDS) return undefined;
  const speaking = vocabularies.filter(([, vocabulary]) =>
    words.every((word) => vocabulary.has(word) || vocabulary.has(undrawn(word))),
  );
  return (speaking.find(([language]) => language === hinted) ?? speaking[0])?.[0];
}

/** The one language whose phrases hold the first word of a short message: "hello Maria" is English, whoever Maria is. */
export function languageOfOpening(message: string): string | undefined {
  const words = message.split(' ');
  const first = words[0] ?? '';
  if (first.length < 2 || words.length > 3) return undefined;
  const speaking = vocabularies.filter(([, vocabulary]) => vocabulary.has(first));
  return speaking.length === 1 ? speaking[0]?.[0] : undefined;
}
