import type { Place } from './places.ts';

/** Why something in a file is no message that is sent. A closed list. */
export type LeftOutReason =
  | 'not_json'
  | 'not_an_object'
  | 'too_long'
  | 'not_a_message'
  | 'no_text'
  | 'no_conversation'
  | 'no_speaker'
  | 'unknown_speaker'
  | 'bad_id'
  | 'bad_time'
  | 'unknown_shape';

/** Reasons that are no fault: joins and calls, pictures, other files of an archive. */
const HARMLESS: ReadonlySet<LeftOutReason> = new Set(['not_a_message', 'no_text']);

export interface LeftOut {
  readonly reason: LeftOutReason;
  /** What is wrong and what is allowed, without the file's own text; equal faults are counted by it. */
  readonly problem: string;
  readonly file: string;
  readonly place: Place;
  /** The character that was wrong, where there is one. */
  readonly found?: string | null;
}

export const isLeftOut = (item: object): item is LeftOut => 'reason' in item;

export interface LeftOutExample {
  readonly file: string;
  readonly line: number;
  readonly character: number | null;
  readonly found: string | null;
}

/** Everything that was left out for one reason. */
export interface LeftOutGroup {
  readonly reason: LeftOutReason;
  readonly problem: string;
  /** Whether it is a fault, which makes the exit code 1. */
  readonly fault: boolean;
  readonly count: number;
  /** The first of them. */
  readonly examples: readonly LeftOutExample[];
}

/** Problems that are told apart: values of a file are in them, so a file decides how many there are. */
const MAX_GROUPS = 100;
const MAX_EXAMPLES = 5;

/** Counts what was left out. */
export class LeftOutCount {
  readonly #groups = new Map<
    string,
    { reason: LeftOutReason; problem: string; count: number; examples: LeftOutExample[] }
  >();
  faults = 0;

  add({ reason, problem, file, place, found = null }: LeftOut): void {
    if (!HARMLESS.has(reason)) this.faults += 1;
    const known = this.#groups.get(`${reason} ${problem}`);
    const name = known || this.#groups.size < MAX_GROUPS ? problem : 'is left out for other reasons';
    const key = `${reason} ${name}`;
    const group = this.#groups.get(key) ?? { reason, problem: name, count: 0, examples: [] };
    group.count += 1;
    if (group.examples.length < MAX_EXAMPLES) group.examples.push({ file, ...place, found });
    this.#groups.set(key, group);
  }

  /** The most frequent first. */
  get groups(): LeftOutGroup[] {
    return [...this.#groups.values()]
      .map((group) => ({ ...group, fault: !HARMLESS.has(group.reason) }))
      .sort((a, b) => b.count - a.count);
  }
}
