import { clamp, round4 } from './round.ts';
import type { Tokens } from './tokens.ts';
import { toxicWords } from './toxic-words.ts';

export interface Toxicity {
  /** 0 harmless to 1 abusive; 0.5 is where a moderator should look. */
  readonly score: number;
}

const SECOND_PERSON = new Set(
  "you you're youre your yours u ur yourself du dich dir dein deine sie tu toi te vous tú te usted ti sei lei você jij je jou ты вы тебя أنت 你 您 お前 あなた".split(
    ' ',
  ),
);

export function scoreToxicity(tokens: Tokens, language: string): Toxicity {
  const words = toxicWords(language);
  let worst = 0;
  let sum = 0;
  let aimed = false;
  for (const word of tokens.words) {
    if (SECOND_PERSON.has(word)) aimed = true;
    const weight = words.get(word) ?? 0;
    if (weight === 0) continue;
    worst = Math.max(worst, weight);
    sum += weight;
  }
  if (worst === 0) return { score: 0 };
  const score = worst + (aimed ? 0.15 : 0) + Math.min(0.15, (sum - worst) * 0.1);
  return { score: round4(clamp(score, 0, 1)) };
}
