import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { PartitionRecords } from '../kafkajs/record-batch-encoder.ts';
import { PartitionQueue } from './partition-queue.ts';
import { PendingRecord } from './pending-record.ts';
import { type Answer, answerOf, NO_ANSWER, RecordRefusedError } from './produce-answers.ts';

const [STORED, MOVED, HELD, TOO_LARGE, INVALID, OUT_OF_ORDER] = [0, 6, 29, 10, 87, 45].map(answerOf) as [
  Answer,
  Answer,
  Answer,
  Answer,
  Answer,
  Answer,
];
const MAX_BATCH_BYTES = 700;
const NOW_MS = 0;

/** What a partition's leader knows and checks of idempotent batches (`ProducerAppendInfo.checkSequence`), and its log. */
class Broker {
  readonly log: string[] = [];
  readonly #lastSequences = new Map<string, number>();

  append({ producerId, firstSequence, messages }: PartitionRecords): Answer {
    if (messages.length > 1 && messages.length * 100 > MAX_BATCH_BYTES) return TOO_LARGE;
    const texts = messages.map(({ value }) => String(value));
    if (texts.some((text) => text.startsWith('huge'))) return TOO_LARGE;
    if (texts.some((text) => text.startsWith('bad'))) return INVALID;
    const last = this.#lastSequences.get(producerId);
    if (last !== undefined && firstSequence + messages.length - 1 === last) return STORED;
    if (last !== undefined && firstSequence !== last + 1) return OUT_OF_ORDER;
    this.#lastSequences.set(producerId, firstSequence + messages.length - 1);
    this.log.push(...texts);
    return STORED;
  }

  /** As after a leader was elected that had not got the last batches. */
  confuse(): void {
    for (const [producerId, last] of this.#lastSequences) this.#lastSequences.set(producerId, Math.max(last - 1, -1));
  }
}

type Step =
  | { readonly kind: 'push'; readonly texts: readonly string[] }
  | {
      readonly kind: 'send';
      readonly fate: 'answered' | 'request lost' | 'answer lost' | 'request late' | 'moved' | 'held';
    }
  | { readonly kind: 'late arrives' }
  | { readonly kind: 'broker confused' }
  | { readonly kind: 'given up'; readonly share: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      texts: fc.array(fc.constantFrom('good', 'good', 'good', 'good', 'good', 'bad', 'huge'), {
        minLength: 1,
        maxLength: 12,
      }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      fate: fc.constantFrom(
        'answered' as const,
        'answered' as const,
        'request lost' as const,
        'answer lost' as const,
        'request late' as const,
        'moved' as const,
        'held' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'late arrives' }, { kind: 'broker confused' }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('given up' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
);

class World {
  readonly queue = new PartitionQueue('events', 0);
  readonly broker = new Broker();
  readonly pending: PendingRecord[] = [];
  readonly errors = new Map<PendingRecord, Error | undefined>();
  readonly late: PartitionRecords[] = [];
  confused = false;
  #identities = 0;

  run(step: Step): void {
    if (step.kind === 'push') for (const text of step.texts) this.#push(`${text} ${this.pending.length}`);
    else if (step.kind === 'late arrives') for (const batch of this.late.splice(0)) this.broker.append(batch);
    else if (step.kind === 'broker confused') {
      this.broker.confuse();
      this.confused = true;
    } else if (step.kind === 'given up') this.#giveUp(step.share);
    else this.send(step.fate);
  }

  send(fate: Extract<Step, { kind: 'send' }>['fate']): void {
    if (this.queue.needsOtherIdentityThan !== undefined) {
      this.queue.adopt({ producerId: String(++this.#identities), producerEpoch: 0 });
    }
    const taken = this.queue.take({ maxRecords: 10, maxBytes: 100_000 });
    if (!taken) return;
    this.queue.answer(this.#answer(taken.batch, fate), NOW_MS);
  }

  #answer(batch: PartitionRecords, fate: Extract<Step, { kind: 'send' }>['fate']): Answer {
    if (fate === 'moved') return MOVED;
    if (fate === 'held') return HELD;
    if (fate === 'request late') this.late.push(batch);
    if (fate === 'request lost' || fate === 'request late') return NO_ANSWER;
    const answer = this.broker.append(batch);
    return fate === 'answered' ? answer : NO_ANSWER;
  }

  #push(text: string): void {
    const value = Buffer.from(text);
    const record = { topic: 'events', partition: 0, key: null, value, resendValue: () => Buffer.from(`${text} again`) };
    const pending = new PendingRecord(record, 100, { settled: () => {} }, (error) => {
      if (this.errors.has(pending)) throw new Error('settled twice');
      this.errors.set(pending, error);
    });
    this.pending.push(pending);
    this.queue.push(pending);
  }

  #giveUp(share: number): void {
    const open = this.pending.filter(({ settled }) => !settled);
    for (const pending of open.slice(0, Math.ceil(open.length * share))) pending.settle(new Error('given up'));
    this.queue.dropSettled();
  }
}

describe('PartitionQueue', () => {
  it('loses and doubles nothing, and refuses only the records at fault, whatever becomes of requests and answers', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = new World();
        for (const each of steps) world.run(each);
        // At most: each record alone is refused once per halving of ten, and then all is well.
        for (let sends = 0; sends < 2_000 && world.queue.waiting > 0; sends++) world.send('answered');
        world.run({ kind: 'late arrives' });
        expect(world.queue.waiting).toBe(0);
        expect(world.errors.size).toBe(world.pending.length);
        for (const [pending, error] of world.errors) {
          const text = String(pending.record.value);
          const [once, again] = [text, `${text} again`].map(
            (each) => world.broker.log.filter((logged) => logged === each).length,
          );
          if (error instanceof RecordRefusedError) expect([text.startsWith('good'), once]).toEqual([false, 0]);
          else if (!error) expect(once || again).toBeGreaterThan(0);
          // A broker that has lost track takes what it has for new: no client can help that.
          if (!world.confused) expect(once).toBeLessThanOrEqual(1);
          if (!pending.sentBefore) expect(again).toBe(0);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('keeps the order of its records, through refusals and lost answers', () => {
    const world = new World();
    for (let n = 0; n < 40; n++) world.run({ kind: 'push', texts: [n % 7 === 3 ? 'bad' : 'good'] });
    const fates = ['answer lost', 'answered', 'request lost', 'moved', 'answered'] as const;
    for (let sends = 0; world.queue.waiting > 0; sends++)
      world.send(fates[sends % fates.length] as (typeof fates)[number]);
    const numbers = world.broker.log.map((text) => Number(text.split(' ')[1]));
    expect(numbers).toEqual(Array.from({ length: 40 }, (_, n) => n).filter((n) => n % 7 !== 3));
  });

  it('marks what may be in the log when it has to go on under another producer id, and only that', () => {
    const world = new World();
    const valuesOf = () => {
      if (world.queue.needsOtherIdentityThan !== undefined) world.queue.adopt({ producerId: 'new', producerEpoch: 0 });
      return world.queue.take({ maxRecords: 1, maxBytes: 1_000 })?.batch.messages.map(({ value }) => String(value));
    };
    world.run({ kind: 'push', texts: ['good', 'good'] });
    const answers = [NO_ANSWER, OUT_OF_ORDER, STORED, OUT_OF_ORDER, STORED];
    const sent = answers.map((answer) => {
      const values = valuesOf();
      world.queue.answer(answer, NOW_MS);
      return values?.join();
    });
    expect(sent).toEqual(['good 0', 'good 0', 'good 0 again', 'good 1', 'good 1']);
  });

  it('begins its sequences again at 0 after 2³¹', () => {
    const world = new World();
    const identity = { producerId: '1', producerEpoch: 0 };
    world.queue.adopt(identity, 2 ** 31 - 3);
    const firstSequences: number[] = [];
    for (let batch = 0; batch < 2; batch++) {
      world.run({ kind: 'push', texts: Array(5).fill('good') });
      firstSequences.push(world.queue.take({ maxRecords: 10, maxBytes: 1_000 })?.batch.firstSequence ?? -1);
      world.queue.answer(STORED, NOW_MS);
    }
    expect(firstSequences).toEqual([2 ** 31 - 3, 2]);
  });
});
