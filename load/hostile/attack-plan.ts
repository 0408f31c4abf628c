export const ATTACK_KINDS = ['half_open', 'no_token', 'junk_token', 'deaf', 'refused'] as const;
export type AttackKind = (typeof ATTACK_KINDS)[number];
/** How many peers of each kind there are at any time; of junk tokens loops of tries, one at a time each. */
export interface AttackPlan extends Readonly<Record<AttackKind, number>> {
  readonly url: string;
  /** Good tokens of bots that do wrong with them. */
  readonly tokens: readonly string[];
}

/** How often each kind ended in which way: a close code, an HTTP status, or `cut`. */
export type AttackEnds = Readonly<Record<AttackKind, Readonly<Record<string, number>>>>;
