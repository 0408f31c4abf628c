import { describe, expect, it } from '@jest/globals';
import { ManualClock, systemClock } from '../../services/core/clock.ts';
import { seededRandom } from '../../services/core/random.ts';
import { eventually } from '../../services/core/testing/eventually.ts';
import { Chats, demoChats } from '../kit/chats.ts';
import { cpuPerMessage, parseCpuSeconds } from '../kit/cpu.ts';
import { assertLoopback } from '../kit/loopback.ts';
import { arrivals } from './arrivals.ts';
import { Freshness } from './freshness.ts';
import { type LoadMessage, OpenLoop } from './open-loop.ts';

describe('arrivals', () => {
  const schedule = (process: 'poisson' | 'constant') => [
    ...arrivals({ process, ratePerS: 500, durationMs: 60_000, random: seededRandom(7) }),
  ];

  it('come evenly, or as independent events do: gaps with a deviation like their mean', () => {
    const constant = schedule('constant');
    expect(constant).toHaveLength(29_999);
    const poisson = schedule('poisson');
    expect(Math.abs(poisson.length - 30_000)).toBeLessThan(4 * Math.sqrt(30_000));
    const gaps = poisson.slice(1).map((at, index) => at - (poisson[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0);
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length);
    expect(deviation / mean).toBeCloseTo(1, 1);
  });
});

describe('the open loop', () => {
  const options = (send: (message: LoadMessage) => Promise<void>, clock = systemClock) => ({
    bots: [{ send }],
    nextTurn: () => ({ conversation_id: 'c', speaker: 'user' as const, text: 'hello' }),
    runId: 'run',
    warmUpMs: 0,
    clock,
    random: () => 0,
    signal: new AbortController().signal,
  });

  it('goes on sending while nothing is acked, and counts the whole wait of each message', async () => {
    const clock = new ManualClock();
    const acks: (() => void)[] = [];
    const send = () => new Promise<void>((resolve) => acks.push(resolve));
    const loop = new OpenLoop({ ...options(send, clock), arrivals: [0, 0.25, 0.5, 0.75] });
    await loop.run();
    expect(acks).toHaveLength(4);
    expect(loop.unsettled).toBe(4);
    clock.advance(1_000);
    for (const ack of acks) ack();
    expect(await loop.settled(10_000)).toBe(true);
    expect(loop.ackLatency.summary()).toMatchObject({ count: 4 });
    expect(loop.ackLatency.summary().p50).toBeCloseTo(1_000, -1);
  });

  it('charges a stall of the generator itself to the messages that were due in it', async () => {
    const clock = new ManualClock();
    function* late() {
      yield 0;
      // The event loop was held up for 300 ms: the next message was due 290 ms ago.
      clock.advance(300);
      yield 10;
    }
    const loop = new OpenLoop({ ...options(async () => {}, clock), arrivals: late() });
    await loop.run();
    await loop.settled(10_000);
    expect(loop.ackLatency.summary().count).toBe(2);
    expect(loop.ackLatency.summary().max).toBeGreaterThanOrEqual(289);
    expect(loop.lateness.summary().max).toBeCloseTo(290, 0);
  });

  it('counts refusals by code, and tells what is unsettled after the bound', async () => {
    const refuse = () => Promise.reject(Object.assign(new Error('no'), { code: 'buffer_full' }));
    const refused = new OpenLoop({ ...options(refuse), arrivals: [0, 0] });
    await refused.run();
    expect(await refused.settled(10_000)).toBe(true);
    expect(refused).toMatchObject({ sent: 2, acked: 0, refused: { buffer_full: 2 } });
    const hung = new OpenLoop({ ...options(() => new Promise(() => {})), arrivals: [0] });
    await hung.run();
    expect(await hung.settled(1)).toBe(false);
    expect(hung.unsettled).toBe(1);
  });

  it('does not measure the warm-up', async () => {
    const loop = new OpenLoop({ ...options(async () => {}), arrivals: [0, 1, 2, 3], warmUpMs: 2 });
    await loop.run();
    await loop.settled(10_000);
    expect(loop.acked).toBe(4);
    expect(loop.ackLatency.summary().count).toBe(2);
  });
});

describe('chats', () => {
  it('give every bot one conversation at a time, turn by turn', () => {
    const chats = new Chats(demoChats(3), 'run');
    const said = Array.from({ length: 400 }, (_, index) => ({ bot: index % 4, ...chats.next(index % 4) }));
    for (const bot of [0, 1, 2, 3]) {
      const ids = said.filter((turn) => turn.bot === bot).map(({ conversation_id }) => conversation_id);
      const runs = ids.filter((id, index) => id !== ids[index - 1]);
      expect(new Set(runs).size).toBe(runs.length);
      expect(runs.length).toBeGreaterThan(1);
    }
    const owners = new Map(said.map(({ conversation_id, bot }) => [conversation_id, bot]));
    expect(said.every(({ conversation_id, bot }) => owners.get(conversation_id) === bot)).toBe(true);
  });
});

describe('freshness', () => {
  it('measures markers until they are visible, and counts those that never come', async () => {
    const clock = new ManualClock();
    const visible = new Set<string>();
    const freshness = new Freshness({
      visible: async (ids) => ids.filter((id) => visible.has(id)),
      clock,
      sampleEveryMs: 100,
      pollEveryMs: 1,
    });
    const start = clock.monotonicMs();
    for (let at = 0; at < 300; at += 10) freshness.offer(`m${at}`, start + at);
    expect(freshness.unseen).toBe(3);
    freshness.start();
    clock.advance(1_000);
    visible.add('m0').add('m100');
    await eventually(() => expect(freshness.unseen).toBe(1));
    const finished = freshness.finish(10);
    clock.advance(11);
    await finished;
    expect(freshness.unseen).toBe(1);
    expect(freshness.latency.summary().count).toBe(2);
    expect(freshness.latency.summary().max).toBeCloseTo(1_000, -1);
  });
});

describe('CPU a message', () => {
  it('is read from prom-client and divided by service', () => {
    const text = '# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total{service="sink"} 12.5\n';
    expect(parseCpuSeconds(text)).toBe(12.5);
    expect(parseCpuSeconds('up 1\n')).toBeUndefined();
    const at = (...seconds: number[]) =>
      new Map(seconds.map((value, index) => [`sink-${index}`, { service: 'sink', seconds: value }]));
    // A third instance came up in between: its start is not the messages' cost.
    expect(cpuPerMessage(at(1, 2), at(2, 4, 9), 1_000)).toEqual({ sink: 3_000 });
  });
});

describe('the load run', () => {
  it('drives only this machine', () => {
    const here = ['ws://127.0.0.1:8080/v1/stream', 'http://localhost:8123', '127.0.0.5:9092', 'ws://[::1]:8080'];
    for (const address of here) expect(() => assertLoopback({ it: address })).not.toThrow();
    const away = ['ws://10.0.0.1:8080', 'https://parley.example', 'kafka:9092', '127.0.0.1.example:9092'];
    for (const address of away) expect(() => assertLoopback({ it: address })).toThrow(/not on this machine/);
  });
});
