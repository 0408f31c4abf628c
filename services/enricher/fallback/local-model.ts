import { cuss as english } from 'cuss';
import { cuss as spanish } from 'cuss/es';
import { cuss as french } from 'cuss/fr';
import { cuss as italian } from 'cuss/it';
import { cuss as portuguese } from 'cuss/pt';
import type { Insight } from '../../core/records.ts';
import type { LocalModel } from './fallback.ts';
import { type LanguageDetector, loadLanguageDetector } from './language-detector.ts';
import { lexiconOf } from './lexicon.ts';

/** Raise the number when an answer may change: analysts compare rows by it. */
const MODEL = 'parley-fallback/1';

/** Reads at most this much, so that no text takes long: what is further back moves the answer little. */
const READ_UNITS = 600;

const WORD = /\p{Extended_Pictographic}|[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}]+)*/gu;
const LETTER = /\p{L}/u;
/** Scripts without spaces between words, in which every short run of signs may be one. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;
const LONGEST_UNSPACED_WORD = 4;

/** Languages that the script alone gives away; kana before Han. */
const SCRIPTS: readonly (readonly [RegExp, string])[] = [
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/u, 'ja'],
  [/\p{Script=Han}/u, 'zh'],
  [/\p{Script=Hangul}/u, 'ko'],
  [/\p{Script=Thai}/u, 'th'],
];

/** In a text this short English wins when it is nearly as likely as the best: most chat is, and names look foreign. */
const SHORT_UNITS = 20;
const ENGLISH_NEAR = 0.75;
/** Confidences where the n-grams agree, and where they do not; a few letters fit many languages, which lowers both. */
const SURE = 0.98;
const UNSURE = 0.6;

const round4 = (value: number) => Math.round(value * 10_000) / 10_000;

/**
 * A small model that needs no network: language by script and n-grams, sentiment and toxicity by word lists. No intent
 * and no topics: better none than a guess. Deterministic, and bounded by what it reads.
 *
 * It stands in where the NLP API does not answer: in degraded outcomes, and in provisional ones at the budget's edge.
 * Loading it takes a third of a second, most of it in another process.
 */
export async function loadLocalModel(): Promise<LocalModel> {
  const detector = await loadLanguageDetector();
  return (text) => analyse(text, detector);
}

function analyse(text: string, detector: LanguageDetector): Insight {
  const read = text.slice(0, READ_UNITS).toWellFormed();
  const { code, confidence } = languageOf(read, detector);
  const words = wordsOf(read.toLowerCase().replaceAll('’', "'"));
  const sentiment = sentimentOf(words, code);
  return {
    language: code,
    language_confidence: confidence,
    sentiment_label: sentiment > NEUTRAL ? 'positive' : sentiment < -NEUTRAL ? 'negative' : 'neutral',
    sentiment_score: sentiment,
    intent: 'unknown',
    intent_confidence: 0,
    toxicity_score: toxicityOf(words, code),
    topics: [],
    model: MODEL,
  };
}

function languageOf(text: string, detector: LanguageDetector): { readonly code: string; readonly confidence: number } {
  if (!LETTER.test(text)) return { code: 'und', confidence: 0 };
  const script = SCRIPTS.find(([pattern]) => pattern.test(text));
  if (script) return { code: script[1], confidence: 0.95 };
  const found = detector.detect(text);
  if (found.language === '') return { code: 'und', confidence: 0 };
  const evidence = 1 - Math.exp(-text.length / 20);
  if (text.length <= SHORT_UNITS && found.language !== 'en') {
    const scores = found.getScores();
    const isNear = (scores['en'] ?? 0) >= (scores[found.language] ?? 0) * ENGLISH_NEAR;
    if (isNear) return { code: 'en', confidence: round4(evidence * UNSURE) };
  }
  return { code: found.language, confidence: round4(evidence * (found.isReliable() ? SURE : UNSURE)) };
}

function wordsOf(text: string): string[] {
  const runs = text.match(WORD) ?? [];
  return UNSPACED.test(text) ? runs.flatMap((run) => (UNSPACED.test(run) ? [...substringsOf(run)] : run)) : runs;
}

function* substringsOf(run: string): Generator<string> {
  for (let from = 0; from < run.length; from++) {
    for (let length = 1; length <= LONGEST_UNSPACED_WORD && from + length <= run.length; length++) {
      yield run.slice(from, from + length);
    }
  }
}

const NEGATIONS = new Set(
  "not no never nothing cannot can't don't won't isn't wasn't didn't doesn't aren't nicht kein keine ne pas non jamais nunca no não niet".split(
    ' ',
  ),
);
/** How many words before a rated one can turn it, and by how much: VADER's (Hutto and Gilbert, 2014). */
const REACH = 3;
const NEGATION_FACTOR = -0.74;
const ALPHA = 15;
/** Scores nearer to 0 than this are neutral. */
const NEUTRAL = 0.05;

/** The words' valences, turned by a negation before them, summed and brought to −1 … 1. */
function sentimentOf(words: readonly string[], language: string): number {
  const lexicon = lexiconOf(language);
  let sum = 0;
  let negatedAt = Number.NEGATIVE_INFINITY;
  for (const [at, word] of words.entries()) {
    if (NEGATIONS.has(word)) {
      negatedAt = at;
      continue;
    }
    const valence = lexicon.get(word);
    if (valence !== undefined) sum += at - negatedAt <= REACH ? valence * NEGATION_FACTOR : valence;
  }
  return round4(sum / Math.sqrt(sum * sum + ALPHA));
}

/** `cuss` (MIT) rates how sure it is that a word is meant profanely: 0 unlikely, 1 maybe, 2 likely. */
const SCORE_OF_RATING = [0, 0.2, 0.6] as const;
/** What each further rated word adds. */
const FURTHER = 0.1;
const RATED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  en: english,
  es: spanish,
  fr: french,
  it: italian,
  pt: portuguese,
};

/** The worst word decides, further ones add a little. English words count in every language: they are used in most. */
function toxicityOf(words: readonly string[], language: string): number {
  const own = RATED[language] ?? english;
  let worst = 0;
  let sum = 0;
  for (const word of words) {
    const score = SCORE_OF_RATING[(Object.hasOwn(own, word) ? own[word] : 0) as 0 | 1 | 2];
    if (score > worst) worst = score;
    if (score > 0) sum += FURTHER;
  }
  return worst === 0 ? 0 : round4(Math.min(worst + sum - FURTHER, 1));
}
