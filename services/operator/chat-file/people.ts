import { nameIn } from './fields.ts';
import { isObject } from './json-value.ts';

/** Somebody of whom an archive tells more than the messages do. */
interface Person {
  /** How texts show a mention. */
  readonly shown: string;
  /** All names: `--speaker` may use them. */
  readonly names: readonly string[];
  readonly isBot: boolean;
}

/** By the id that messages have. */
export type People = ReadonlyMap<string, Person>;

export const NOBODY: People = new Map();

/** The people of a Slack export's `users.json`; of anything else nobody. */
export function peopleOf(text: string): People {
  const people = new Map<string, Person>();
  for (const user of listIn(text)) {
    if (!isObject(user)) continue;
    const id = nameIn(user, ['id']);
    const profile = isObject(user['profile']) ? user['profile'] : {};
    const names = [
      nameIn(profile, ['display_name']),
      nameIn(profile, ['real_name']),
      nameIn(user, ['real_name']),
      nameIn(user, ['name']),
    ].filter((name) => name !== undefined);
    const [shown] = names;
    if (id === undefined || shown === undefined) continue;
    people.set(id, { shown, names: [...new Set(names)], isBot: user['is_bot'] === true });
  }
  return people;
}

function listIn(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
