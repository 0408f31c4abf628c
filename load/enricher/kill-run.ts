import { setTimeout as delay } from 'node:timers/promises';
import { decodeLedger } from '../../services/core/ledger-metadata.ts';
import { fetchTopicIds } from '../../services/platform/kafka/read/topic-ids.ts';
import { KafkaAdmin } from '../../services/platform/kafka/testing/kafka-admin.ts';
import { groupNames } from '../../services/platform/kafka/topics.ts';
import type { Turn } from '../kit/chats.ts';
import { Bench, type RunContext } from './bench.ts';
import { loadEvents } from './messages.ts';
import type { LoggedOutcome } from './outcome-log.ts';
import type { SystemUnderTest } from './system-under-test.ts';

export interface KillOptions {
  readonly messages: number;
  readonly env: Readonly<Record<string, string>>;
  readonly chats: Iterator<readonly Turn[], void>;
  readonly limitMs: number;
}

export interface KillReport {
  /** Nothing missing, and no more repeated than was open at the kill. */
  readonly ok: boolean;
  readonly messages: number;
  readonly missing: number;
  /** At the kill: documents that the API had been asked for, and those whose completion was committed. */
  readonly called: number;
  readonly committed: number;
  /** Outcomes that stood in the log at the kill, their completion not committed yet. */
  readonly acked_since_commit: number;
  /** Called, and neither committed nor in the log: in flight to the API or to Kafka. */
  readonly in_flight: number;
  /** Documents that the API was asked for twice. */
  readonly repeated_calls: number;
  /** Final outcomes that stand in the log twice; the sink drops them. */
  readonly repeated_outcomes: number;
  /** From the kill to the next outcome in the log. */
  readonly back_at_work_ms: number;
  readonly outcomes_per_s_before: number;
}

/** The kill comes when this share of the messages has outcomes: at full speed. */
const KILL_AT = 0.5;
const POLL_MS = 20;
const BEFORE_MS = 2_000;

/** Kills the enricher at full speed with `kill -9`, starts another one at once, and counts what was done twice. */
export async function killRun(options: KillOptions, context: RunContext): Promise<KillReport> {
  const bench = await Bench.open(context, loadEvents(options.chats));
  try {
    return await drive(bench, options, context);
  } finally {
    await bench.close();
  }
}

async function drive(bench: Bench, options: KillOptions, { api, signal, progress }: RunContext): Promise<KillReport> {
  const { messages, env, limitMs } = options;
  await api.reset(messages);
  await bench.source.preload(messages);
  const deadlineMs = performance.now() + limitMs;
  const first = await bench.start('parley', env);
  while ((await bench.outcomes()) < messages * KILL_AT) {
    signal.throwIfAborted();
    if (first.ended || performance.now() > deadlineMs) throw new Error(`it did not get that far:\n${first.lastWords}`);
    await delay(POLL_MS);
  }
  const killedAtMs = await killNow(first);
  progress(`killed with ${await bench.outcomes()} of ${messages} outcomes in the log`);
  const second = await bench.start('parley', env);
  // No session of the killed one has ended yet: what is read here is what it had committed.
  const [{ documents: called }, completed] = await Promise.all([api.stats(), committedOf(bench)]);
  await bench.untilOutcomes(messages, second, deadlineMs);
  await second.stop();
  const outcomes = await bench.readOutcomes();
  const book = await api.book();
  return killReport(messages, outcomes, { killedAtMs, called, completed, calls: book.calls });
}

async function killNow(system: SystemUnderTest): Promise<number> {
  const atMs = Date.now();
  await system.kill();
  return atMs;
}

interface Committed {
  readonly count: number;
  readonly has: (partition: number, offset: number) => boolean;
}

/** What the group's commits say is complete: below the watermark, and the set above it in the metadata. */
async function committedOf(bench: Bench): Promise<Committed> {
  const { events, prefix } = bench.topics;
  const topicId = (await fetchTopicIds(bench.kafka, [events])).get(events);
  if (!topicId) throw new Error(`there is no topic ${events}`);
  const commits = await KafkaAdmin.use(bench.kafka, (admin) => admin.committed(groupNames(prefix).enricher, events));
  const ledgers = new Map<number, { watermark: number; above: Set<number> }>();
  for (const [partition, { offset: watermark, metadata }] of commits) {
    ledgers.set(partition, { watermark, above: new Set(decodeLedger(metadata, topicId, watermark).completed) });
  }
  return {
    count: [...ledgers.values()].reduce((sum, { watermark, above }) => sum + watermark + above.size, 0),
    has: (partition, offset) => {
      const ledger = ledgers.get(partition);
      return ledger !== undefined && (offset < ledger.watermark || ledger.above.has(offset));
    },
  };
}

interface AtKill {
  readonly killedAtMs: number;
  readonly called: number;
  readonly completed: Committed;
  readonly calls: Uint8Array;
}

export function killReport(messages: number, outcomes: readonly LoggedOutcome[], atKill: AtKill): KillReport {
  const { killedAtMs, called, completed, calls } = atKill;
  const finals = outcomes.filter(({ provisional, replayed }) => !provisional && !replayed);
  const distinct = new Set(finals.map(({ number }) => number)).size;
  const backAtMs = firstAfterPause(
    finals.map(({ atMs }) => atMs).sort((a, b) => a - b),
    killedAtMs,
  );
  const before = finals.filter(({ atMs }) => atMs < backAtMs);
  const acked = before.filter(({ partition, offset }) => !completed.has(partition, offset)).length;
  const recent = before.filter(({ atMs }) => atMs >= killedAtMs - BEFORE_MS && atMs < killedAtMs).length;
  const repeated = calls.reduce((sum, each) => sum + Math.max(each - 1, 0), 0);
  const missing = messages - distinct;
  return {
    ok: missing === 0 && repeated <= called - completed.count,
    messages,
    missing,
    called,
    committed: completed.count,
    acked_since_commit: acked,
    in_flight: called - completed.count - acked,
    repeated_calls: repeated,
    repeated_outcomes: finals.length - distinct,
    back_at_work_ms: backAtMs - killedAtMs,
    outcomes_per_s_before: Math.round((recent * 1_000) / BEFORE_MS),
  };
}

/** Where the longest pause after the kill ended; what was on its way to Kafka at the kill still comes before it. */
function firstAfterPause(times: readonly number[], killedAtMs: number): number {
  let [backAtMs, longestMs] = [killedAtMs, 0];
  let previous = killedAtMs;
  for (const time of times) {
    if (time < killedAtMs) continue;
    if (time - previous > longestMs) [backAtMs, longestMs] = [time, time - previous];
    previous = time;
  }
  return backAtMs;
}
