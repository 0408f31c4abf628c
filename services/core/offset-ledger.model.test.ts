import assert from 'node:assert/strict';
import { describe, it } from '@jest/globals';
import fc from 'fast-check';
import type { TopicId } from './brands.ts';
import { decodeLedger, encodeLedger } from './ledger-metadata.ts';
import { LEDGER_SPAN, OffsetLedger } from './offset-ledger.ts';

const TOPIC_ID = 'dgoboNlSR7q7_iKvHit0vg' as TopicId;

/** What was taken and is not complete: one record, or a gap. */
interface Item {
  readonly first: number;
  readonly last: number;
  readonly isGap: boolean;
}

/** The ledger's contract, said with a plain set: an offset is complete or it is not. */
interface Model {
  readonly span: number;
  readonly start: number;
  /** Complete offsets from `start` on. */
  readonly done: Set<number>;
  /** The complete offsets that the metadata of a commit can name: records, not gaps. */
  readonly recorded: Set<number>;
  open: Item[];
  /** One behind the last offset that was taken. */
  taken: number;
  watermark: number;
}

interface Real {
  ledger: OffsetLedger;
}

/** The first offset that is not complete; it never moves back, so it is looked for from where it stood. */
function watermarkOf(model: Model): number {
  while (model.done.has(model.watermark)) model.watermark++;
  return model.watermark;
}

const nextOf = (model: Model): number => Math.max(model.taken, watermarkOf(model));

function check(model: Model, { ledger }: Real): void {
  const { span, done, recorded, start, taken } = model;
  const watermark = watermarkOf(model);
  assert.equal(ledger.watermark, watermark);
  assert.equal(ledger.next, nextOf(model));
  const above = [...recorded].filter((offset) => offset > watermark).sort((a, b) => a - b);
  assert.equal(ledger.completedAhead, above.length);
  assert.deepEqual([...ledger.completed()], above);
  // Where a bit of another span could show: around the watermark, and behind what was taken.
  const from = Math.max(start, watermark - span - 2);
  for (const first of taken < from + 3 * span ? [from] : [from, taken]) {
    for (let offset = first, step = Math.ceil(span / 32); offset < first + 3 * span; offset += step) {
      if (ledger.isComplete(offset) !== done.has(offset)) assert.fail(`${offset} is wrong above ${watermark}`);
      if (ledger.hasRoomFor(offset) !== offset < watermark + span) assert.fail(`room for ${offset} above ${watermark}`);
    }
  }
}

type Command = fc.Command<Model, Real>;
const command = (
  name: string,
  run: (model: Model, real: Real) => void,
  canRun?: (model: Model) => boolean,
): Command => ({
  check: (model) => canRun?.(model) ?? true,
  run: (model, real) => {
    run(model, real);
    check(model, real);
  },
  toString: () => name,
});

/** Takes up to so many offsets as they come from a log without holes; what is complete already is stepped over. */
const take = (count: number): Command =>
  command(`take(${count})`, (model, { ledger }) => {
    for (let left = count; left > 0 && ledger.hasRoomFor(nextOf(model)); left--) {
      const offset = nextOf(model);
      const isDone = model.done.has(offset);
      assert.equal(ledger.isComplete(offset), isDone);
      ledger.take(offset);
      model.taken = offset + 1;
      if (!isDone) model.open.push({ first: offset, last: offset, isGap: false });
    }
  });

const gap = (size: number): Command =>
  command(`gap(${size})`, (model, { ledger }) => {
    const first = nextOf(model);
    ledger.takeGap(first, first + size - 1);
    model.taken = first + size;
    model.open.push({ first, last: first + size - 1, isGap: true });
  });

/** Completes one item, by its place among those that are open; 0 is the oldest. */
const complete = (place: number, again: boolean): Command =>
  command(
    `complete(${place}${again ? ', twice' : ''})`,
    (model, { ledger }) => {
      const [item] = model.open.splice(place % model.open.length, 1) as [Item];
      ledger.complete(item.first);
      if (again) ledger.complete(item.first);
      for (let offset = item.first; offset <= item.last; offset++) model.done.add(offset);
      if (!item.isGap) model.recorded.add(item.first);
    },
    ({ open }) => open.length > 0,
  );

/** A successor, which knows of the commit alone: its offset and its metadata. The log may start later than it stood. */
const recover = (cut: number): Command =>
  command(`recover(cut ${cut})`, (model, real) => {
    const watermark = watermarkOf(model);
    const read = decodeLedger(encodeLedger(real.ledger, TOPIC_ID), TOPIC_ID, watermark);
    const expected = [...model.recorded].filter((offset) => offset > watermark).sort((a, b) => a - b);
    assert.deepEqual(read, { state: 'read', completed: expected });
    real.ledger = new OffsetLedger(watermark, read.completed, model.span);
    for (const offset of model.done) if (offset >= watermark && !model.recorded.has(offset)) model.done.delete(offset);
    model.open = [];
    model.taken = watermark;
    if (cut === 0) return;
    real.ledger.takeGap(watermark, watermark + cut - 1);
    model.taken = watermark + cut;
    model.open.push({ first: watermark, last: watermark + cut - 1, isGap: true });
  });

function commands(span: number) {
  const size = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 3 * span }));
  const place = fc.oneof(fc.constant(0), fc.nat(span));
  return fc.commands(
    [
      fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: span })).map(take),
      fc.integer({ min: 1, max: 4 }).map(take),
      size.map(gap),
      fc.tuple(place, fc.boolean()).map(([at, again]) => complete(at, again)),
      place.map((at) => complete(at, false)),
      place.map((at) => complete(at, false)),
      fc.oneof(fc.constant(0), size).map(recover),
    ],
    { maxCommands: 30, size: 'max' },
  );
}

const runOn = (span: number, start: number, cmds: Iterable<Command>) =>
  fc.modelRun(
    () => ({
      model: {
        span,
        start,
        done: new Set<number>(),
        recorded: new Set<number>(),
        open: [],
        taken: start,
        watermark: start,
      },
      real: { ledger: new OffsetLedger(start, [], span) },
    }),
    cmds,
  );

describe('OffsetLedger, against a plain set', () => {
  it('agrees with it on every offset, whatever is taken, lost to retention, completed and recovered', () => {
    const start = fc.integer({ min: 0, max: 2 ** 40 });
    fc.assert(
      fc.property(start, commands(8), (at, cmds) => runOn(8, at, cmds)),
      { numRuns: 20_000 },
    );
  });

  it('agrees with it over the span that the enricher uses', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), commands(LEDGER_SPAN), (at, cmds) =>
        runOn(LEDGER_SPAN, at, cmds),
      ),
      { numRuns: 20 },
    );
  });
});
