import { eld } from 'eld/medium';
import { languageOfPhrase } from './dialogue-acts.ts';
import { clamp, round4 } from './round.ts';

export interface Language {
  /** ISO 639-1, or `und` where nothing tells. */
  readonly code: string;
  readonly confidence: number;
}

const UNDETERMINED: Language = { code: 'und', confidence: 0 };

/** Scripts that one living language of ours writes: certain and free. Kana decide before Han. */
const SCRIPTS: readonly (readonly [RegExp, string])[] = [
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/u, 'ja'],
  [/\p{Script=Hangul}/u, 'ko'],
  [/\p{Script=Han}/u, 'zh'],
  [/\p{Script=Thai}/u, 'th'],
  [/\p{Script=Greek}/u, 'el'],
  [/\p{Script=Hebrew}/u, 'he'],
  [/\p{Script=Armenian}/u, 'hy'],
  [/\p{Script=Georgian}/u, 'ka'],
  [/\p{Script=Khmer}/u, 'km'],
];
const LATIN = /\p{Script=Latin}/gu;
const LETTER = /\p{L}/u;
const KAZAKH = /[әғқңөұүһ]/iu;

/** Reads at most this much: more does not change the answer. */
const READ_UNITS = 600;

function byScript(text: string): Language | undefined {
  for (const [script, code] of SCRIPTS) {
    const at = text.match(new RegExp(script.source, 'gu'));
    if (!at) continue;
    // "iPhone 15を買う" is Japanese, one Greek letter in an English sentence is not Greek.
    const latin = text.match(LATIN)?.length ?? 0;
    if (at.length * 3 >= latin) return { code, confidence: 0.99 };
  }
  return undefined;
}

/** The languages that the n-gram model does not know stand beside a neighbour that it takes them for. */
function refine(code: string, text: string): string {
  if (code === 'ms') return 'id';
  if (code !== 'ky' && /\p{Script=Cyrillic}/u.test(text) && KAZAKH.test(text)) return 'kk';
  return code;
}

function byNgrams(text: string): Language {
  const result = eld.detect(text);
  if (result.language === '') return UNDETERMINED;
  const scores = Object.values(result.getScores()).sort((a, b) => b - a);
  const [best = 0, second = 0] = scores;
  // How far the best is ahead of the next, and how much text there was to tell them apart.
  const lead = best === 0 ? 0 : (best - second) / best;
  const evidence = 1 - Math.exp(-text.length / 20);
  return { code: refine(result.language, text), confidence: clamp(0.3 + 2 * lead, 0, 1) * evidence };
}

/**
 * The language of a text: by its script where that decides, by the dictionary of common chat phrases where the text is
 * one of them, by n-grams otherwise. A hint decides where the text itself does not tell.
 */
export function identifyLanguage(text: string, hint?: string): Language {
  const read = text.slice(0, READ_UNITS);
  const hinted = hint?.split('-', 1)[0]?.toLowerCase();
  const found = identify(read, hinted);
  if (hinted !== undefined && found.confidence < 0.5) return { code: hinted, confidence: 0.5 };
  return { code: found.code, confidence: round4(found.confidence) };
}

function identify(text: string, hinted: string | undefined): Language {
  if (!LETTER.test(text)) return UNDETERMINED;
  const script = byScript(text);
  if (script) return script;
  const phrase = languageOfPhrase(text, hinted);
  if (phrase) return { code: phrase, confidence: 0.8 };
  return byNgrams(text);
}
