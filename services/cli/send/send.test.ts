import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../../core/clock.ts';
import type { ChatLine } from '../../operator/chat-line.ts';
import { demoLines } from './demo-lines.ts';
import { type MessageToSend, Sender, type SendOptions } from './sender.ts';

describe('the sender', () => {
  const line = (id: string, conversation_id: string): ChatLine => ({
    id,
    conversation_id,
    speaker: 'user',
    text: 'hello',
    sent_at: null,
  });
  const options = (over: Partial<SendOptions>): SendOptions => ({
    bots: [],
    runId: 'run',
    ratePerS: null,
    limit: Number.POSITIVE_INFINITY,
    keepTimes: false,
    mayRepeat: false,
    clock: systemClock,
    signal: new AbortController().signal,
    ...over,
  });

  it('keeps a conversation with one bot and in order', async () => {
    const taken: MessageToSend[][] = [[], [], [], []];
    const bots = taken.map((messages) => ({
      send: async (message: MessageToSend) => {
        messages.push(message);
      },
    }));
    const lines = Array.from({ length: 2_000 }, (_, index) => line(`${index}`, `c${index % 37}`));
    const sender = new Sender(options({ bots }));
    await sender.run(lines);
    expect(sender.counts).toMatchObject({ sent: 2_000, acked: 2_000, refused: {} });
    const homes = new Map<string, number>();
    for (const [bot, messages] of taken.entries()) {
      expect(messages.length).toBeGreaterThan(0);
      const last = new Map<string, number>();
      for (const { conversation_id, id } of messages) {
        expect(homes.get(conversation_id) ?? bot).toBe(bot);
        homes.set(conversation_id, bot);
        const index = Number(id.replace('run-', ''));
        expect(index).toBeGreaterThan(last.get(conversation_id) ?? -1);
        last.set(conversation_id, index);
      }
    }
  });

  it('reads no further than the windows allow', async () => {
    let waiting: (() => void)[] = [];
    const bots = [{ send: () => new Promise<void>((resolve) => waiting.push(resolve)) }];
    let read = 0;
    function* lines() {
      for (; read < 500; read++) yield line(`${read}`, 'c');
    }
    const sender = new Sender(options({ bots }));
    const run = sender.run(lines());
    let mostWaiting = 0;
    let ended = false;
    void run.then(() => {
      ended = true;
    });
    while (!ended) {
      await new Promise((resolve) => setImmediate(resolve));
      mostWaiting = Math.max(mostWaiting, waiting.length);
      const now = waiting;
      waiting = [];
      for (const resolve of now) resolve();
    }
    expect(mostWaiting).toBe(64);
    expect(sender.counts.acked).toBe(500);
  });

  it('counts refusals by code and bad lines, and stops at the limit', async () => {
    const refuse = (code: string) => Promise.reject(Object.assign(new Error('no'), { code }));
    const bots = [{ send: ({ id }: MessageToSend) => (id === 'run-2' ? refuse('text_too_long') : Promise.resolve()) }];
    const sender = new Sender(options({ bots, limit: 3 }));
    await sender.run([
      line('1', 'c'),
      { reason: 'not_json', problem: 'is not JSON', file: 'f', place: { line: 2, character: 7 }, found: '}' },
      line('2', 'c'),
      line('3', 'c'),
      line('4', 'c'),
    ]);
    expect(sender.counts).toEqual({
      sent: 3,
      acked: 2,
      refused: { text_too_long: 1 },
    });
    expect(sender.leftOut).toMatchObject({ faults: 1, groups: [{ reason: 'not_json', count: 1, fault: true }] });
  });

  it('finishes what is in flight when it is interrupted', async () => {
    const abort = new AbortController();
    const bots = [
      {
        send: async () => {
          abort.abort();
        },
      },
    ];
    const sender = new Sender(options({ bots, signal: abort.signal, ratePerS: 10 }));
    await sender.run(Array.from({ length: 100 }, (_, index) => line(`${index}`, 'c')));
    expect(sender.counts).toMatchObject({ sent: 1, acked: 1 });
  });
});

describe('demo lines', () => {
  const some = (runId: string): ChatLine[] => {
    const lines = demoLines(runId);
    return Array.from({ length: 200 }, () => lines.next().value);
  };

  it('are decided by the run', () => {
    expect(some('a')).toEqual(some('a'));
    expect(some('a')[0]?.conversation_id).not.toBe(some('b')[0]?.conversation_id);
  });
});
