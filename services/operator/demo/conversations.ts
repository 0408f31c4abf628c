import { type Random, seededRandom } from '../../core/random.ts';
import type { Speaker } from '../../core/wire-codes.ts';
import { type Concern, MOODS, type Mood, type Phrases } from './phrases.ts';
import { FRENCH, GERMAN } from './phrases-de-fr.ts';
import { ENGLISH } from './phrases-en.ts';
import { PORTUGUESE, SPANISH } from './phrases-es-pt.ts';
import { CHINESE, JAPANESE } from './phrases-ja-zh.ts';

export interface DemoConversation {
  /** `demo-<seed>-<n>`. */
  readonly conversation_id: string;
  /** ISO 639-1. */
  readonly language: string;
  readonly mood: Mood;
  readonly messages: readonly { readonly speaker: Speaker; readonly text: string }[];
}

/** English as often as all others together, as in a shop with customers abroad. */
const LANGUAGES: readonly Phrases[] = [
  ...Array<Phrases>(6).fill(ENGLISH),
  GERMAN,
  FRENCH,
  SPANISH,
  PORTUGUESE,
  JAPANESE,
  CHINESE,
];
const NAMES = ['Anna', 'Ben', 'Carla', 'Deniz', 'Emil', 'Fatima', 'Giulia', 'Hugo', 'Ines', 'Jonas', 'Kenji', 'Lin'];
const CITIES = ['Berlin', 'Lyon', 'Madrid', 'Porto', 'Osaka', 'Chicago', 'Dublin', 'Graz'];

function pick<T>(random: Random, choices: readonly T[]): T {
  const choice = choices[Math.floor(random() * choices.length)];
  if (choice === undefined) throw new Error('nothing to choose from');
  return choice;
}

/** Endless customer-service chats of 5 to 13 turns; the same seed gives the same ones. */
export function* demoConversations(seed: number): Generator<DemoConversation, never> {
  const random = seededRandom(seed);
  for (let number = 1; ; number++) yield conversation(random, `demo-${seed}-${number}`);
}

function conversation(random: Random, id: string): DemoConversation {
  const phrases = pick(random, LANGUAGES);
  const mood = pick(random, MOODS);
  const values: Record<string, string> = {
    name: pick(random, NAMES),
    city: pick(random, CITIES),
    order: String(100_000 + Math.floor(random() * 900_000)),
    item: pick(random, phrases.items),
    day: pick(random, phrases.days),
  };
  const messages: { speaker: Speaker; text: string }[] = [];
  const say = (speaker: Speaker, choices: readonly string[]) => {
    const text = pick(random, choices).replace(/\{(\w+)\}/g, (_, slot: string) => values[slot] ?? '');
    messages.push({ speaker, text });
  };
  const cross = mood === 'upset' || mood === 'rude';
  const first = pick(random, phrases.concerns);
  const others = phrases.concerns.filter((concern) => concern !== first);
  if (random() < 0.8) {
    say('user', phrases.hello);
    say('bot', phrases.welcome);
  }
  if (random() < 0.25) discuss(say, pick(random, others), []);
  // The mood shows half-way in every other chat; only a cross customer is soothed.
  const aside: Turn[] = random() < 0.5 ? [['user', phrases.aside[mood]]] : [];
  if (aside.length > 0 && cross) aside.push(['bot', phrases.soothing]);
  discuss(say, first, aside);
  say('user', phrases.closing[mood]);
  if (cross && random() < 0.5) {
    say('bot', phrases.handover);
    say('agent', phrases.agent);
  } else say('bot', phrases.goodbye);
  return { conversation_id: id, language: phrases.language, mood, messages };
}

type Turn = readonly [speaker: Speaker, choices: readonly string[]];

function discuss(say: (...turn: Turn) => void, concern: Concern, aside: readonly Turn[]): void {
  say('user', concern.request);
  say('bot', concern.question);
  say('user', concern.detail);
  for (const turn of aside) say(...turn);
  say('bot', concern.solution);
}
