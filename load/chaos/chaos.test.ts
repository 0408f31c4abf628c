import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../services/core/clock.ts';
import { eventually } from '../../services/core/testing/eventually.ts';
import { accountForKill, type LoggedOutcome } from './kill-account.ts';
import { NlpCalls } from './nlp-calls.ts';
import { NlpTap } from './nlp-tap.ts';
import { Recovery } from './recovery.ts';
import { countRepeats } from './repeats.ts';
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

  it('disagree when a good record was dead-lettered, a byte was changed, or poison vanished', () => {
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

describe('the account of a killed enricher', () => {
  const kill = {
    event: 7,
    life: 'enricher-1#1',
    atMs: 1_000,
    committed: new Map([[0, { watermark: 10, completed: new Set([12]) }]]),
  };
  const other = 'enricher-2#1';
  const calls = new NlpCalls();
  const outcomes = new Map<string, LoggedOutcome[]>();
  /** A document that the killed process sent, its outcome when it has one, and whether another sent it again. */
  const sent = (id: string, { answered = true, outcomeOf = -1, again = false }) => {
    const call = calls.begin(id, kill.life, 900);
    if (answered) call.answeredAtMs = 990;
    if (outcomeOf >= 0) outcomes.set(id, [{ topic: 'chat.events', partition: 0, offset: outcomeOf, atMs: 960 }]);
    if (again) calls.begin(id, other, 5_000);
  };
  sent('in flight', { answered: false, again: true });
  sent('answered', { again: true });
  sent('acked', { outcomeOf: 11, again: true });
  sent('acked, not repeated', { outcomeOf: 13 });
  sent('below the watermark', { outcomeOf: 9 });
  sent('above it', { outcomeOf: 12 });
  calls.begin('of the other', other, 900);
  calls.begin('of the other', 'enricher-3#1', 5_000);
  calls.begin('resent', kill.life, 900);
  calls.begin('resent', other, 5_000);
  outcomes.set(
    'resent',
    [5, 6].map((offset) => ({ topic: 'chat.events', partition: 0, offset, atMs: 950 })),
  );

  calls.begin('replayed', kill.life, 900);
  calls.begin('replayed', other, 5_000);
  outcomes.set(
    'replayed',
    ['chat.events', 'chat.replay'].map((topic) => ({ topic, partition: 0, offset: 7, atMs: 950 })),
  );

  it('tells what was in flight, what was acked and not committed, and what was repeated', () => {
    expect(accountForKill(kill, calls.byId(), outcomes)).toEqual({
      event: 7,
      life: 'enricher-1#1',
      calls_in_flight: 1,
      answered_not_acked: 1,
      acked_not_committed: 2,
      oldest_not_committed_ms: 40,
      repeated: 3,
      unexplained: [],
      unexplained_calls: [],
    });
  });

  it('names what was committed and repeated all the same, below the watermark and above it', () => {
    calls.begin('below the watermark', other, 5_000);
    calls.begin('above it', other, 5_000);
    const { repeated, unexplained } = accountForKill(kill, calls.byId(), outcomes);
    expect([repeated, unexplained]).toEqual([5, ['below the watermark', 'above it']]);
  });

  it('takes what a frozen process goes on with on waking for no repeat of the kill, and all else for one', () => {
    const [frozen, waking] = [new NlpCalls(), { life: other, fromMs: 500, toMs: 1_500 }];
    const repeat = (id: string, life: string, atMs: number) => {
      const call = frozen.begin(id, kill.life, 900);
      call.answeredAtMs = 920;
      frozen.begin(id, life, atMs);
    };
    frozen.begin('called before the freeze', other, 450);
    repeat('called before the freeze', other, 1_600);
    repeat('waiting at the freeze', other, 1_600);
    repeat('later', other, 9_000);
    frozen.begin('of the killed one', kill.life, 450);
    repeat('of the killed one', other, 1_600);
    repeat('not frozen', 'enricher-3#1', 1_600);
    const logged = new Map(
      [...frozen.byId().keys()].map((id) => [id, [{ topic: 'chat.events', partition: 0, offset: 1, atMs: 950 }]]),
    );
    const committed = new Map([[0, { watermark: 10, completed: new Set<number>() }]]);
    const account = accountForKill({ ...kill, committed }, frozen.byId(), logged, [waking]);
    expect(account).toMatchObject({ repeated: 3, unexplained: ['later', 'of the killed one', 'not frozen'] });
    expect(account.unexplained_calls[1]).toBe(
      'of the killed one by enricher-1#1 at -0.55 s, enricher-1#1 at -0.10 s, enricher-2#1 at 0.60 s',
    );
  });

  it('accuses nobody when the commit could not be read', () => {
    const account = accountForKill({ ...kill, committed: null }, calls.byId(), outcomes);
    expect(account).toMatchObject({ acked_not_committed: null, repeated: 5, unexplained: [] });
  });

  it('counts repeats to the event in whose time they fell, those of resent messages not', () => {
    const event = { kind: 'kill' as const, part: 'enricher-1', for_ms: 0, recovery_ms: 1, failure: null };
    const results = [
      { ...event, number: 1, at_ms: 500, began_ms: 500 },
      { ...event, number: 2, at_ms: 4_500, began_ms: 4_500 },
      { ...event, number: 3, at_ms: 5_500, began_ms: 5_500 },
    ];
    const { repeated, events } = countRepeats({ results, kills: [kill], freezes: [], startedAtMs: 0 }, calls, outcomes);
    expect([repeated, events.map(({ repeated_calls }) => repeated_calls)]).toEqual([6, [0, 6, 0]]);
  });
});

describe('the tap between an enricher and the NLP API', () => {
  it('passes calls on and writes down which documents were sent, by whom, and which were answered', async () => {
    const held = new Set<ServerResponse>();
    const server = createServer((request, response) => {
      request.resume();
      if (request.url === '/hang') held.add(response);
      else response.writeHead(429, { 'retry-after': '1' }).end('later');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const calls = new NlpCalls();
    const tap = await NlpTap.start({ target, calls, clock: new ManualClock(), life: () => 'enricher-1#1' });
    const post = (path: string, body: unknown, signal?: AbortSignal) =>
      fetch(`${tap.url}${path}`, { method: 'POST', body: JSON.stringify(body), ...(signal && { signal }) });
    const batch = await post('/v1/analyze:batch', { documents: [{ id: 'a' }, { id: 'b' }] });
    expect([batch.status, batch.headers.get('retry-after'), await batch.text()]).toEqual([429, '1', 'later']);
    const gone = new AbortController();
    const hanging = post('/hang', { id: 'c' }, gone.signal);
    await eventually(() => expect(held.size).toBe(1));
    gone.abort();
    await expect(hanging).rejects.toThrow(/abort/);
    await eventually(() => expect([...held].every(({ destroyed }) => destroyed)).toBe(true));
    const answered = [...calls.byId()].map(([id, [call]]) => [id, call?.life, call?.answeredAtMs !== null]);
    expect(answered).toEqual([
      ['a', 'enricher-1#1', true],
      ['b', 'enricher-1#1', true],
      ['c', 'enricher-1#1', false],
    ]);
    await tap.stop();
    await new Promise((resolve) => server.close(resolve));
  });
});
