import { actPatterns, FILLERS, type PhraseAct, plain } from './dialogue-acts.ts';
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
type IntentName = (typeof INTENTS)[number];

export interface Intent {
  readonly name: IntentName;
  readonly confidence: number;
}

/**
 * Acts that are the whole point of a short message and a mere courtesy in a long one. Where a message is made of
 * several ("ok thank you bye"), the first of this list is its point.
 */
const COURTESIES = ['goodbye', 'rejection', 'thanks', 'apology', 'greeting', 'confirmation'] as const;
type Courtesy = (typeof COURTESIES)[number];
const isCourtesy = (act: PhraseAct): act is Courtesy => (COURTESIES as readonly string[]).includes(act);

/** From this share of the message on, courtesies are what it is about. */
const MOSTLY = 0.6;

interface Span {
  readonly act: PhraseAct;
  readonly start: number;
  readonly end: number;
}

function spansOf(message: string, language: string): Span[] {
  const spans: Span[] = [];
  for (const [act, pattern] of actPatterns(language)) {
    for (const match of message.matchAll(pattern)) {
      spans.push({ act, start: match.index, end: match.index + match[0].length });
    }
  }
  return spans;
}

/** The longest phrases that do not overlap: "that's not right" is one rejection, not a rejection and a "right". */
function withoutOverlap(spans: readonly Span[]): Span[] {
  const kept: Span[] = [];
  for (const span of [...spans].sort((a, b) => b.end - b.start - (a.end - a.start))) {
    if (!kept.some((other) => span.start < other.end && other.start < span.end)) kept.push(span);
  }
  return kept;
}

const lengthOf = (spans: readonly Span[]) => spans.reduce((sum, { start, end }) => sum + end - start, 0);

/** The courtesy that a message consists of, if it does. */
function courtesyOf(message: string, spans: readonly Span[]): Intent | undefined {
  const courtesies = withoutOverlap(spans.filter(({ act }) => isCourtesy(act)));
  if (courtesies.length === 0) return undefined;
  const words = message.split(' ');
  const filling = words.filter((word) => FILLERS.has(word)).reduce((sum, word) => sum + word.length + 1, 0);
  const share = clamp((lengthOf(courtesies) + filling) / message.length, 0, 1);
  const first = courtesies.find(({ start }) => start === 0)?.act;
  const greets = first === 'greeting' && words.length <= 3;
  if (share < MOSTLY && !greets) return undefined;
  const present = new Set(courtesies.map(({ act }) => act));
  const act = first === 'rejection' ? first : COURTESIES.find((courtesy) => present.has(courtesy));
  return act && { name: act, confidence: round4(clamp(0.35 + 0.6 * share, 0, 0.95)) };
}

/** The courtesy of a message that is more than one and does nothing else; a yes or no only where it opens it. */
function passing(spans: readonly Span[]): Courtesy | undefined {
  const present = new Set(
    withoutOverlap(spans)
      .filter(({ act, start }) => start === 0 || (act !== 'confirmation' && act !== 'rejection' && act !== 'greeting'))
      .map(({ act }) => act),
  );
  return COURTESIES.find((courtesy) => present.has(courtesy));
}

/** What a longer message does, by its strongest sign. */
function actOf(spans: readonly Span[], questioned: boolean, sentiment: number): Intent {
  const has = (act: PhraseAct, atStart = false) =>
    spans.some((span) => span.act === act && (!atStart || span.start === 0));
  if (has('complaint')) return { name: 'complaint', confidence: sentiment < 0 ? 0.8 : 0.65 };
  if (has('command', true) || has('request', true)) return { name: 'request', confidence: 0.75 };
  if (questioned) return { name: 'question', confidence: has('question') ? 0.85 : 0.65 };
  if (has('question', true)) return { name: 'question', confidence: 0.65 };
  if (has('request')) return { name: 'request', confidence: 0.6 };
  const courtesy = passing(spans);
  if (courtesy) return { name: courtesy, confidence: 0.4 };
  if (sentiment < -0.6) return { name: 'complaint', confidence: 0.35 };
  return { name: 'inform', confidence: 0.4 };
}

/** The dialogue act of a message: what its writer does with it, not what it is about. */
export function recogniseIntent(text: string, tokens: Tokens, language: string, sentiment: number): Intent {
  if (tokens.words.length === 0) return { name: 'unknown', confidence: 0 };
  const message = plain(text);
  const spans = message === '' ? [] : spansOf(message, language);
  return courtesyOf(message, spans) ?? actOf(spans, tokens.questions > 0, sentiment);
}
