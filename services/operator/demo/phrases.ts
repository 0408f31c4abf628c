/** How a demo customer feels; `rude` is mildly toxic, so that a toxicity score has something to find. */
export const MOODS = ['content', 'matter_of_fact', 'playful', 'upset', 'rude'] as const;
export type Mood = (typeof MOODS)[number];

/** What a conversation is about; each list holds alternatives for one turn, in the order of the turns. */
export interface Concern {
  /** User. */
  readonly request: readonly string[];
  /** Bot. */
  readonly question: readonly string[];
  /** User. */
  readonly detail: readonly string[];
  /** Bot. */
  readonly solution: readonly string[];
}

/**
 * One language's building blocks. `{name}`, `{order}`, `{item}`, `{city}` and `{day}` are filled in, the same within a
 * conversation.
 */
export interface Phrases {
  /** ISO 639-1. */
  readonly language: string;
  readonly items: readonly string[];
  readonly days: readonly string[];
  readonly hello: readonly string[];
  readonly welcome: readonly string[];
  readonly concerns: readonly Concern[];
  /** User, before the solution: how the mood shows. */
  readonly aside: Readonly<Record<Mood, readonly string[]>>;
  /** Bot, in answer to it. */
  readonly soothing: readonly string[];
  /** User, at the end. */
  readonly closing: Readonly<Record<Mood, readonly string[]>>;
  readonly goodbye: readonly string[];
  /** Bot, then agent: where an upset customer is handed over to a human. */
  readonly handover: readonly string[];
  readonly agent: readonly string[];
}
