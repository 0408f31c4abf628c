import { expect, it } from '@jest/globals';
import { InsertSlots } from './insert-slots.ts';

it('four inserts that hang again and again leave half of four slots to the others', async () => {
  const slots = new InsertSlots(4);
  const running: string[] = [];
  const ends: (() => void)[] = [];
  const hang = (name: string) => () => {
    running.push(name);
    return new Promise<void>((resolve) => ends.push(resolve));
  };
  const stuck = ['a', 'b', 'c', 'd'].map((name) => slots.run(3, hang(name)));
  await new Promise(setImmediate);
  expect(running).toEqual(['a', 'b']);
  const others = ['e', 'f', 'g'].map((name) => slots.run(0, hang(name)));
  await new Promise(setImmediate);
  expect(running).toEqual(['a', 'b', 'e', 'f']);
  ends[2]?.();
  await others[0];
  await new Promise(setImmediate);
  expect(running).toEqual(['a', 'b', 'e', 'f', 'g']);
  while (running.length < 7 || ends.length > 0) {
    ends.shift()?.();
    await new Promise(setImmediate);
  }
  await Promise.all([...stuck, ...others]);
  expect(running.slice(5)).toEqual(['c', 'd']);
});
