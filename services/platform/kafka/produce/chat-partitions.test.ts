import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { testLog } from '../../testing/topic-log.ts';
import { topicNames } from '../topics.ts';
import { ChatPartitions } from './chat-partitions.ts';

const names = topicNames();
const WIDE = [names.events, names.dlq, names.replay];

function told() {
  const lines: string[] = [];
  const log = testLog();
  for (const level of ['info', 'warn'] as const) log[level] = ((_: object, text: string) => lines.push(text)) as never;
  return { log, lines };
}

describe('ChatPartitions', () => {
  it('uses no partition that one of the three topics lacks, in whatever order and steps they grow', () => {
    const growth = fc.array(fc.record({ topic: fc.constantFrom(...WIDE), by: fc.integer({ min: 1, max: 6 }) }));
    fc.assert(
      fc.property(growth, (steps) => {
        const counts = new Map(WIDE.map((topic) => [topic, 12]));
        const partitions = new ChatPartitions(names, counts, testLog());
        for (const { topic, by } of steps) {
          counts.set(topic, (counts.get(topic) ?? 0) + by);
          partitions.note(counts);
          expect(partitions.count).toBe(Math.min(...counts.values()));
        }
      }),
    );
  });

  it('says once that the counts differ, and once that more are used', () => {
    const { log, lines } = told();
    const partitions = new ChatPartitions(names, new Map(WIDE.map((topic) => [topic, 12])), log);
    const grown = new Map([
      [names.events, 24],
      [names.dlq, 12],
      [names.replay, 12],
    ]);
    for (let look = 0; look < 5; look++) partitions.note(grown);
    expect(lines).toEqual([expect.stringContaining('chat.events has 24, chat.dlq has 12, chat.replay has 12')]);
    for (let look = 0; look < 5; look++) partitions.note(new Map(WIDE.map((topic) => [topic, 24])));
    expect(lines.slice(1)).toEqual([expect.stringContaining('another number of partitions')]);
  });

  it('keeps its count while a topic is away', () => {
    const partitions = new ChatPartitions(names, new Map(WIDE.map((topic) => [topic, 12])), testLog());
    partitions.note(new Map([[names.events, 12]]));
    expect(partitions.count).toBe(12);
  });
});
