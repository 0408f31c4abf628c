import type { NlpCall } from './nlp-calls.ts';

/** An outcome as it stands in `chat.enriched`. */
export interface LoggedOutcome {
  /** The record that it is the outcome of: of `chat.events`, or of `chat.replay` for one that was analysed once more. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** When it was produced, milliseconds since the epoch, by the producer's clock. */
  readonly atMs: number;
}

/** What the enrichers' group had committed of one partition of `chat.events`. */
export interface CommittedLedger {
  readonly watermark: number;
  readonly completed: ReadonlySet<number>;
}

/** An enricher that got KILL. */
export interface EnricherKill {
  readonly event: number;
  readonly life: string;
  /** When the process was gone, milliseconds since the epoch. */
  readonly atMs: number;
  /** By partition, as read before anybody else could commit; null when Kafka did not answer in time. */
  readonly committed: ReadonlyMap<number, CommittedLedger> | null;
}

/** An enricher that stood still past its session, so that others took its partitions, and woke up. */
export interface EnricherFreeze {
  readonly life: string;
  /** Milliseconds since the epoch. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** On waking it goes on with what it was about, until its next heartbeat or commit (every 100 ms) tells it that it was expelled. */
const ZOMBIE_MS = 2_000;

/** What one `kill -9` had repeated, and what it may. */
export interface KillAccount {
  readonly event: number;
  readonly life: string;
  /** Calls that the API had not answered. */
  readonly calls_in_flight: number;
  /** Answered (or to be tried again), with no outcome in the log yet: in flight too, as the ledger sees it. */
  readonly answered_not_acked: number;
  /** Outcomes in the log that the last commit did not cover; null when the commit could not be read in time. */
  readonly acked_not_committed: number | null;
  /** Age of the oldest of those at the kill, milliseconds. */
  readonly oldest_not_committed_ms: number;
  /** Documents of the killed process that another one sent again. */
  readonly repeated: number;
  /** Repeated, though none of the three: empty, or the ledger did not do its work. */
  readonly unexplained: readonly string[];
  /** Every call of the first few of those: by which process, and when, from the kill. */
  readonly unexplained_calls: readonly string[];
}

const DESCRIBED = 5;

const describeCalls = (id: string, all: readonly NlpCall[], killedAtMs: number): string =>
  `${id} by ${all.map(({ life, atMs }) => `${life} at ${((atMs - killedAtMs) / 1_000).toFixed(2)} s`).join(', ')}`;

/**
 * @param calls of each document, in order.
 * @param outcomes of each message. Those of several records are left out: each record may need a call.
 * @param freezes a call that a process made as it woke up is the freeze's doing, and no kill's.
 */
export function accountForKill(
  kill: EnricherKill,
  calls: ReadonlyMap<string, readonly NlpCall[]>,
  outcomes: ReadonlyMap<string, readonly LoggedOutcome[]>,
  freezes: readonly EnricherFreeze[] = [],
): KillAccount {
  const counts = { calls: 0, answered: 0, uncommitted: 0, repeated: 0 };
  const unexplained: string[] = [];
  let oldestMs = 0;
  for (const [id, all] of calls) {
    const logged = outcomes.get(id) ?? [];
    // A call that was read from the socket after the kill was made before it all the same.
    const before = all.filter(({ life, atMs }) => life === kill.life || atMs <= kill.atMs);
    const last = before.at(-1);
    if (last?.life !== kill.life || isResent(logged)) continue;
    const repeated = all.some(
      (call) => call.life !== kill.life && call.atMs > kill.atMs && !isZombies(call, all, freezes),
    );
    const acked = logged.find(({ atMs }) => atMs <= kill.atMs);
    if (repeated) counts.repeated++;
    if (!acked && (last.answeredAtMs === null || last.answeredAtMs > kill.atMs)) counts.calls++;
    else if (!acked) counts.answered++;
    else if (kill.committed && !isCommitted(kill.committed, acked)) {
      counts.uncommitted++;
      oldestMs = Math.max(oldestMs, kill.atMs - acked.atMs);
    } else if (repeated && kill.committed) unexplained.push(id);
  }
  return {
    event: kill.event,
    life: kill.life,
    calls_in_flight: counts.calls,
    answered_not_acked: counts.answered,
    acked_not_committed: kill.committed ? counts.uncommitted : null,
    oldest_not_committed_ms: oldestMs,
    repeated: counts.repeated,
    unexplained,
    unexplained_calls: unexplained.slice(0, DESCRIBED).map((id) => describeCalls(id, calls.get(id) ?? [], kill.atMs)),
  };
}

/**
 * Whether a process made the call as it woke up, for a record that was its own when it was frozen: it had called before
 * then, or nobody had (the record waited for the API, or in its socket).
 */
const isZombies = ({ life, atMs }: NlpCall, all: readonly NlpCall[], freezes: readonly EnricherFreeze[]): boolean =>
  freezes.some(
    (freeze) =>
      freeze.life === life &&
      atMs >= freeze.toMs &&
      atMs <= freeze.toMs + ZOMBIE_MS &&
      all.filter((earlier) => earlier.atMs <= freeze.fromMs).every((earlier) => earlier.life === life),
  );

/** Whether a message stood in the log as several records: sent again by its bot, or put on `chat.replay`. */
export const isResent = (logged: readonly LoggedOutcome[]): boolean =>
  new Set(logged.map(({ topic, partition, offset }) => `${topic}/${partition}/${offset}`)).size > 1;

function isCommitted(committed: ReadonlyMap<number, CommittedLedger>, { partition, offset }: LoggedOutcome): boolean {
  const ledger = committed.get(partition);
  return ledger !== undefined && (offset < ledger.watermark || ledger.completed.has(offset));
}
