import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import type { ChatCodec } from '../platform/avro/codec.ts';
import type { OutgoingRecord } from '../platform/kafka/produce/batch-producer.ts';
import type { LogRange } from '../platform/kafka/read/log-range.ts';
import { ownHeaders } from './dead-letter-record.ts';
import { type DeadLetterSource, type ReadLetter, readDeadLetters } from './dead-letters.ts';
import { judgeLetter, type LetterState, type LetterVerdict } from './plan.ts';
import type { Selection } from './selection.ts';
import { type ReplayCounts, Tally } from './tally.ts';

export interface ReplayOptions {
  readonly source: DeadLetterSource & { readonly codec: ChatCodec };
  readonly selection: Selection;
  /** As the log stood when the run began: what is dead-lettered meanwhile, by the run itself too, is left out. */
  readonly ranges: readonly LogRange[];
  readonly runId: string;
  /** `chat.replay` with the prefix. */
  readonly replayTopic: string;
  readonly letterStates: (letters: readonly ReadLetter[]) => Promise<readonly LetterState[]>;
  /** Stops after so many records to replay. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
  readonly progress?: (replayed: number, selected: number) => void;
}

export interface Production {
  /** Resolves when Kafka has the record. */
  readonly send: (record: OutgoingRecord) => Promise<void>;
  readonly ratePerS: number;
  readonly clock: Clock;
}

export interface ReplayResult {
  readonly counts: ReplayCounts;
  /** `limit`, `interrupted` and `failed`: before all that is selected was looked at. */
  readonly ended: 'complete' | 'limit' | 'interrupted' | 'failed';
  /** What a send rejected with, when it failed. */
  readonly error: string | null;
}

const UNKNOWN: LetterState = { row: undefined, isErased: false };

type ToReplay = Extract<LetterVerdict, { kind: 'replay' }>;

/** What goes to `chat.replay`: the same key, partition and headers, the event with its identity and the run's marks. */
const replayRecord = (
  topic: string,
  codec: ChatCodec,
  { letter }: ReadLetter,
  { event }: ToReplay,
): OutgoingRecord => ({
  topic,
  partition: letter.partition,
  key: letter.record.key,
  value: codec.encodeEvent(event),
  headers: ownHeaders(letter),
});

/**
 * Looks at every selected dead letter and counts what a replay does with it; with `production` it does it: at a steady
 * rate, and one page of letters acked before the next is read. Of these it counts what Kafka has acked; what was sent
 * before a failure takes effect, and a second run finds it done.
 */
export async function replayDeadLetters(options: ReplayOptions, production?: Production): Promise<ReplayResult> {
  const { source, selection, ranges, runId, replayTopic, limit = Number.POSITIVE_INFINITY, signal } = options;
  const tally = new Tally();
  const pace = production && createPace(production, signal);
  let started = 0;
  let ended: ReplayResult['ended'] = 'complete';
  let failure: unknown;

  const replay = async (read: ReadLetter, verdict: ToReplay): Promise<void> => {
    try {
      await production?.send(replayRecord(replayTopic, source.codec, read, verdict));
      tally.add(read, verdict);
      options.progress?.(tally.replay, tally.selected);
    } catch (error) {
      failure ??= error;
      ended = 'failed';
    }
  };

  for await (const page of readDeadLetters(source, selection, ranges)) {
    const states = await options.letterStates(page);
    const sending: Promise<void>[] = [];
    for (const [index, read] of page.entries()) {
      const verdict = judgeLetter(read, states[index] ?? UNKNOWN, { id: runId, replayTopic });
      if (verdict.kind === 'skip') {
        tally.add(read, verdict);
        continue;
      }
      if (started >= limit) ended = 'limit';
      else await pace?.();
      if (ended === 'complete' && signal?.aborted) ended = 'interrupted';
      if (ended !== 'complete') break;
      started++;
      sending.push(replay(read, verdict));
    }
    await Promise.all(sending);
    if (ended !== 'complete') break;
  }
  return { counts: tally.counts(), ended, error: failure === undefined ? null : messageOf(failure) };
}

/** The n-th call resolves n / rate seconds after the first, or at once after an abort; a late one brings no burst. */
function createPace({ ratePerS, clock }: Production, signal: AbortSignal | undefined): () => Promise<void> {
  const gapMs = 1_000 / ratePerS;
  let dueMs = clock.monotonicMs();
  return async () => {
    const waitMs = dueMs - clock.monotonicMs();
    // Timers are coarse: below their grain the records of a millisecond go together.
    if (waitMs >= 1) await delay(waitMs, undefined, signal && { signal }).catch(() => undefined);
    dueMs = Math.max(dueMs, clock.monotonicMs() - 100) + gapMs;
  };
}
