import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../services/core/clock.ts';
import { eventually } from '../../services/core/testing/eventually.ts';
import { NlpApi } from './nlp-api.ts';
import { Recovery } from './recovery.ts';
import { deadLetters, poisonViolations } from './verdict.ts';

const letter = (offset: number, value: string | null) => ({
  value: value === null ? null : Buffer.from(value),
  headers: {
    'dlq-origin-topic-id': Buffer.from('topic'),
    'dlq-origin-partition': Buffer.from('2'),
    'dlq-origin-offset': Buffer.from(String(offset)),
  },
});

describe('dead letters against poison', () => {
  const poison = ['a', 'b'].map((value) => Buffer.from(value));

  it('agree when each stands there, even twice: a crash may repeat the letter, a producer the record', () => {
    const letters = deadLetters([letter(1, 'a'), letter(2, 'b'), letter(1, 'a'), letter(3, 'b')]);
    expect([...letters.keys()]).toEqual(['dead:topic:2:1', 'dead:topic:2:2', 'dead:topic:2:3']);
    expect(poisonViolations(letters, poison)).toEqual([]);
  });

  it('do not when a good record was dead-lettered, a byte was changed, or poison vanished', () => {
    expect(poisonViolations(deadLetters([letter(1, 'a'), letter(2, 'b'), letter(3, 'good')]), poison)).toEqual([
      '1 dead letters are no poison: dead:topic:2:3',
    ]);
    expect(poisonViolations(deadLetters([letter(1, 'a'), letter(2, 'B')]), poison)).toHaveLength(2);
    expect(poisonViolations(deadLetters([letter(1, 'a')]), poison)).toEqual([
      '1 of 2 poison records have no dead letter',
    ]);
  });
});

describe('recovery', () => {
  it('is seen by the rows of messages that were sent after the fault, all of them', async () => {
    const clock = new ManualClock();
    const rows = new Set<string>();
    let fails = true;
    const recovery = new Recovery({
      visible: async (ids) => {
        if (fails) throw new Error('ClickHouse is away');
        return ids.filter((id) => rows.has(id));
      },
      clock,
      pollEveryMs: 1,
    });
    recovery.start();
    recovery.sent('before');
    const took: number[] = [];
    recovery.watch((ms) => took.push(ms));
    for (const id of ['1', '2', '3', '4', '5', 'later']) recovery.sent(id);
    for (const id of ['before', '1', '2', '3', '4']) rows.add(id);
    fails = false;
    clock.advance(1_000);
    expect(recovery.open).toBe(1);
    rows.add('5');
    await eventually(() => expect(recovery.open).toBe(0));
    expect(took).toEqual([1_000]);
    await recovery.stop();
  });
});

describe('calls to the NLP API', () => {
  it('are counted over all lives of its process', async () => {
    let analysed = 30;
    const server = createServer((_, response) =>
      response.end(`parley_nlp_documents_total{result="analysed",service="nlp"} ${analysed}\n`),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const nlp = new NlpApi(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await nlp.sample();
    expect(nlp.analysed).toBe(30);
    nlp.ended();
    analysed = 12;
    await nlp.sample();
    expect(nlp.analysed).toBe(42);
    nlp.close();
    await new Promise((resolve) => server.close(resolve));
  });
});
