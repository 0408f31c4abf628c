import type { Insight } from '../../core/records.ts';
import type { Analysed } from './analysis.ts';

/**
 * White space, controls, format characters, lone surrogates, what Unicode says is to be ignored (zero width, fillers,
 * variation selectors), and the object replacement character that stands for an image.
 */
const BLANK = /^[\p{White_Space}\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800\ufffc\ufffd]*$/u;
const SPACE = 0x20;
const DELETE = 0x7f;

const INSIGHT: Insight = {
  language: 'und',
  language_confidence: 0,
  sentiment_label: 'neutral',
  sentiment_score: 0,
  intent: 'unknown',
  intent_confidence: 0,
  toxicity_score: 0,
  topics: [],
  model: 'parley-blank/1',
};

/** The analysis of every blank text. No API is asked: many refuse such a text, and it says nothing. */
export const BLANK_ANALYSIS: Analysed = { kind: 'analysed', insight: INSIGHT, nlpMs: 0, attempts: 0, cacheHit: false };

/** Whether there is nothing to analyse: no letter, digit, sign or symbol. */
export function isBlank(text: string): boolean {
  const first = text.charCodeAt(0);
  // Most texts begin with a visible ASCII character.
  return !(first > SPACE && first < DELETE) && BLANK.test(text);
}
