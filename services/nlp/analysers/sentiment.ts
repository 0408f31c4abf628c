import { type Lexicon, lexiconOf, valenceOf } from './lexicons.ts';
import { modifiersOf } from './modifiers.ts';
import { clamp, round4 } from './round.ts';
import type { Tokens } from './tokens.ts';

export interface Sentiment {
  readonly label: 'positive' | 'neutral' | 'negative';
  /** −1 very negative to 1 very positive. */
  readonly score: number;
}

/** VADER's constants (Hutto and Gilbert, 2014), measured there on rated tweets. */
const NEGATION_FACTOR = -0.74;
const BOOST = 0.293;
const SHOUT = 0.733;
const EXCLAMATION = 0.292;
const ALPHA = 15;
/** How many words before a rated one can turn or boost it. */
const REACH = 3;
/**
 * Scores between these are neutral. English politeness reads as mildly positive, so its band reaches further up; tuned
 * on the development half of the data.
 */
const NEUTRAL_BANDS = { en: [-0.05, 0.3], other: [-0.05, 0.05] } as const;

const sign = (value: number) => (value < 0 ? -1 : 1);

function valenceAt(tokens: Tokens, at: number, base: number, language: string, lexicon: Lexicon): number {
  const { negations, boosters, dampers } = modifiersOf(language);
  let valence = base + (tokens.shouted[at] ? sign(base) * SHOUT : 0);
  let negated = false;
  for (let back = 1; back <= REACH && at - back >= 0; back++) {
    const word = tokens.words[at - back] ?? '';
    // Each step away counts 5 % less, as in VADER.
    const weight = 1 - 0.05 * (back - 1);
    if (boosters.has(word)) valence += sign(base) * BOOST * weight;
    else if (dampers.has(word)) valence -= sign(base) * BOOST * weight;
    else if (negations.has(word) || (language === 'en' && word.endsWith("n't"))) negated = true;
    // A rated word in between takes the negation for itself: "no problem, thanks".
    else if (valenceOf(lexicon, word) !== 0) break;
  }
  return negated ? valence * NEGATION_FACTOR : valence;
}

/** Sums the words' valences, turned by negation and moved by boosters, capitals and exclamation marks. */
export function scoreSentiment(tokens: Tokens, language: string): Sentiment {
  const lexicon = lexiconOf(language);
  const { contrasts, negations } = modifiersOf(language);
  let before = 0;
  let sum = 0;
  for (const [at, word] of tokens.words.entries()) {
    if (contrasts.has(word)) {
      // What follows "but" counts more than what precedes it.
      before = (before + sum) * 0.5;
      sum = 0;
      continue;
    }
    const base = negations.has(word) ? 0 : valenceOf(lexicon, word);
    if (base !== 0) sum += valenceAt(tokens, at, base, language, lexicon);
  }
  const total = before === 0 ? sum : before + 1.5 * sum;
  if (total === 0) return { label: 'neutral', score: 0 };
  const emphasised = total + sign(total) * Math.min(tokens.exclamations, 4) * EXCLAMATION;
  const score = round4(clamp(emphasised / Math.sqrt(emphasised ** 2 + ALPHA), -1, 1));
  const [low, high] = NEUTRAL_BANDS[language === 'en' ? 'en' : 'other'];
  return { label: score > high ? 'positive' : score < low ? 'negative' : 'neutral', score };
}
