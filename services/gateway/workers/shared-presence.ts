import type { Presence, Wanted } from '../insights/subscribers.ts';
import type { Channel } from './channel.ts';

/** The workers' own answers are waited for half as long. */
const TIMEOUT_MS = 1_000;
const WORKER_TIMEOUT_MS = 500;

/** What the other workers have of a session; null as well where they do not say in time. */
export type AskElsewhere = (wanted: Wanted) => Promise<Presence>;

/**
 * A worker's side: all questions of one turn of the event loop are one request. Without an answer nobody has the session: an
 * insight that comes twice is better than one that never comes.
 */
export function presenceElsewhere(channel: Channel): AskElsewhere {
  let waiting: { readonly wanted: Wanted; readonly resolve: (presence: Presence) => void }[] = [];
  const flush = async () => {
    const asked = waiting;
    waiting = [];
    const wanted = asked.map((each) => each.wanted);
    const found = await channel.request<Presence[]>('presence', wanted, TIMEOUT_MS).catch((): Presence[] => []);
    for (const [index, { resolve }] of asked.entries()) resolve(found[index] ?? null);
  };
  return (wanted) =>
    new Promise((resolve) => {
      if (waiting.length === 0) setImmediate(() => void flush());
      waiting.push({ wanted, resolve });
    });
}

/** The supervisor's side: asks all workers but the one that wants to know. */
export async function presenceAmong(others: readonly Channel[], wanted: readonly Wanted[]): Promise<Presence[]> {
  const answers = await Promise.all(
    others.map((channel) =>
      channel.request<Presence[]>('presence', wanted, WORKER_TIMEOUT_MS).catch((): Presence[] => []),
    ),
  );
  return wanted.map((_, index) => {
    const found = answers.map((each) => each[index]);
    if (found.includes('sender')) return 'sender';
    return found.includes('heir') ? 'heir' : null;
  });
}
