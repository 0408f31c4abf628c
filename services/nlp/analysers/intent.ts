import { actPatterns, type PhraseAct, plain } from './dialogue-acts.ts';
import { clamp, round4 } from './round.ts';
import type { Tokens } from './tokens.ts';

export const INTENTS = [
  'greeting',
  'goodbye',
  'thanks',
  'apology',
  'confirmation',
  'rejection',
  'question',
  'request',
  'complaint',
  'inform',
  'unknown',
] as const;
export type IntentName = (typeof INTENTS)[number];

export interface Intent {
  readonly name: IntentName;
  readonly confidence: number;
}

/** Acts that are the whole point of a short message and a mere courtesy in a long one. */
const COURTESIES = new Set<PhraseAct>(['greeting', 'goodbye', 'thanks', 'apology', 'confirmation', 'rejection']);

interface Evidence {
  /** Share of the message's characters that the act's phrases cover. */
  readonly coverage: number;
  readonly atStart: boolean;
}

function evidenceOf(text: string, pattern: RegExp): Evidence | undefined {
  let covered = 0;
  let first = -1;
  for (const match of text.matchAll(pattern)) {
    if (first < 0) first = match.index;
    covered += match[0].length;
  }
  return first < 0 ? undefined : { coverage: covered / text.length, atStart: first === 0 };
}

/** How much the phrases found speak for an act, 0 to 1. */
function weigh(act: PhraseAct, { coverage, atStart }: Evidence, questioned: boolean): number {
  if (COURTESIES.has(act)) return clamp(coverage * 1.2 + (atStart ? 0.15 : 0), 0, 1);
  if (act === 'complaint') return 0.72;
  if (act === 'question') return questioned ? 0.8 : atStart ? 0.6 : 0.2;
  return atStart ? 0.7 : 0.55;
}

/** The dialogue act of a message: what its writer does with it, not what it is about. */
export function recogniseIntent(text: string, tokens: Tokens, language: string, sentiment: number): Intent {
  if (tokens.words.length === 0) return { name: 'unknown', confidence: 0 };
  const message = plain(text);
  const questioned = tokens.questions > 0;
  let best: IntentName = 'inform';
  let weight = 0.3;
  for (const [act, pattern] of actPatterns(language)) {
    const evidence = message === '' ? undefined : evidenceOf(message, pattern);
    const found = evidence ? weigh(act, evidence, questioned) : 0;
    if (found > weight) {
      best = act;
      weight = found;
    }
  }
  if (questioned && weight < 0.6) {
    best = 'question';
    weight = 0.6;
  }
  if (best === 'inform' && sentiment < -0.6) return { name: 'complaint', confidence: 0.4 };
  return { name: best, confidence: round4(clamp(weight, 0, 0.99)) };
}
