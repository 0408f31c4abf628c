import type { EventResult, Injector } from './injector.ts';
import { accountForKill, isResent, type KillAccount, type LoggedOutcome } from './kill-account.ts';
import type { NlpCalls } from './nlp-calls.ts';

export interface CountedEvent extends EventResult {
  /** Documents sent to the NLP API once more, from this event's beginning to that of the next. */
  readonly repeated_calls: number;
}

export interface Repeats {
  readonly repeated: number;
  readonly events: readonly CountedEvent[];
  readonly kills: readonly KillAccount[];
}

/** Attributes each repeated call to the event in whose time it fell, and to kills where their accounts explain it. */
export function countRepeats(
  { results, kills, freezes, startedAtMs }: Pick<Injector, 'results' | 'kills' | 'freezes' | 'startedAtMs'>,
  calls: NlpCalls,
  outcomes: ReadonlyMap<string, readonly LoggedOutcome[]>,
): Repeats {
  const repeats = calls.repeats((id) => !isResent(outcomes.get(id) ?? []));
  const byTime = results.toSorted((a, b) => a.began_ms - b.began_ms);
  const counted = byTime.map((event, index) => {
    const from = startedAtMs + event.began_ms;
    const next = byTime[index + 1];
    const to = next ? startedAtMs + next.began_ms : Number.POSITIVE_INFINITY;
    return { ...event, repeated_calls: repeats.filter(({ atMs }) => atMs >= from && atMs < to).length };
  });
  return {
    repeated: repeats.length,
    events: counted.sort((a, b) => a.number - b.number),
    kills: kills.map((kill) => accountForKill(kill, calls.byId(), outcomes, freezes)).sort((a, b) => a.event - b.event),
  };
}
