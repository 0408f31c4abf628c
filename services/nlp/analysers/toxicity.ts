import { clamp, round4 } from './round.ts';
import type { Tokens } from './tokens.ts';
import { toxicWords } from './toxic-words.ts';

export interface Toxicity {
  /** 0 harmless to 1 abusive; from 0.5 on a moderator should look. */
  readonly score: number;
}

/** The listener, in the languages that have a list. */
const SECOND_PERSON = new Set(
  "you you're youre your yours u ur yourself du dich dir dein deine sie tu toi te vous tú usted ti sei lei você jij je jou ты вы тебя أنت انت 你 您 お前 あなた".split(
    ' ',
  ),
);
/** The writer: "I am stupid" is no attack. */
const FIRST_PERSON = new Set("i i'm im my me myself ich mich mein je moi yo io eu ik я 我".split(' '));

/** Threats, insults and advances that hold no bad word of their own; matched on the words joined by single spaces. */
const PHRASES: readonly (readonly [number, RegExp])[] = [
  [
    0.8,
    /(?:^|\b(?:i|i'll|we|we'll|will|gonna|to|wanna|should) )(?:kill|stab|murder|rape|shoot|strangle|beat|hurt|punch|kick) (?:you|u|yourself)\b/,
  ],
  [
    0.7,
    /\b(?:go to hell|shut up|shut the|drop dead|die now|screw you|suck (?:my|me|it|on)|you suck|u suck|sucks? (?:cock|dick))\b/,
  ],
  [0.6, /\b(?:i|we|everyone) (?:really |fucking )?(?:hate|despise) (?:you|u)\b/],
  [0.6, /\b(?:have|want|give me|having|like) (?:some )?(?:sex|nudes)\b/],
  [0.55, /\b(?:are|r) (?:you|u) (?:hot|sexy|naked|single|a virgin|fat|horny)\b/],
  [
    0.55,
    /\b(?:you're|you are|youre|ur|u are) (?:so |very |really |such |just |all )?(?:an? )?(?:pig|rude|annoying|useless|fat|worthless|ugly|stupid|dumb|trash|garbage|crazy|insane|joke|liar)\b/,
  ],
];

/** Letters that stand for others: "sh!t", "a$$", "b1tch". */
const LEET: Readonly<Record<string, string>> = { '@': 'a', $: 's', '!': 'i', 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's' };
/** No word of the lists is longer; bounds the time for what is no word at all. */
const LONGEST_WORD = 24;
const DISGUISED = /\p{L}.*[@$!\d]|[@$!\d].*\p{L}/u;
const DRAWN_OUT = /(\p{L})\1{2,}/gu;

function weightOf(words: ReadonlyMap<string, number>, word: string): number {
  const plain = words.get(word);
  if (plain !== undefined) return plain;
  if (word.length > LONGEST_WORD) return 0;
  if (word.includes('*')) return maskedWeight(words, word);
  if (DISGUISED.test(word)) return words.get(word.replace(/[@$!\d]/g, (sign) => LEET[sign] ?? sign)) ?? 0;
  const undrawn = word.replace(DRAWN_OUT, '$1');
  return undrawn === word ? 0 : (words.get(undrawn) ?? 0);
}

/** "f**k" counts as the worst word of that length with those letters. */
function maskedWeight(words: ReadonlyMap<string, number>, masked: string): number {
  if (masked.length < 3) return 0;
  const fits = (word: string) =>
    word.length === masked.length && [...masked].every((letter, at) => letter === '*' || letter === word[at]);
  let worst = 0;
  for (const [word, weight] of words) if (weight > worst && fits(word)) worst = weight;
  return worst;
}

/**
 * The worst word or phrase decides; a second person near it raises the score, a first person alone lowers it, further
 * bad words add a little.
 */
export function scoreToxicity(tokens: Tokens, language: string): Toxicity {
  const lexicon = toxicWords(language);
  let worst = 0;
  let sum = 0;
  for (const word of new Set(tokens.words)) {
    const weight = weightOf(lexicon, word);
    worst = Math.max(worst, weight);
    sum += weight;
  }
  const aimed = tokens.words.some((word) => SECOND_PERSON.has(word));
  const self = !aimed && tokens.words.some((word) => FIRST_PERSON.has(word));
  const further = Math.min(0.15, (sum - worst) * 0.15);
  const byWords = worst === 0 ? 0 : worst + further + (aimed ? 0.12 : self ? -0.1 : 0);
  const joined = language === 'en' || language === 'und' ? tokens.words.join(' ') : '';
  const byPhrases = PHRASES.reduce(
    (most, [weight, phrase]) => (phrase.test(joined) ? Math.max(most, weight) : most),
    0,
  );
  return { score: round4(clamp(Math.max(byWords, byPhrases + (byPhrases > 0 ? further : 0)), 0, 1)) };
}
