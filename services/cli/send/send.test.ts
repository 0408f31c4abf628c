import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { systemClock } from '../../core/clock.ts';
import { type ChatLine, isBadLine, type Line, MAX_LINE_BYTES, parseChatLine } from '../../operator/chat-line.ts';
import { readLines, splitLines } from '../../operator/json-lines.ts';
import { demoLines } from './demo-lines.ts';
import { type MessageToSend, Sender, type SendOptions } from './sender.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'parley-send-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('lines of a file', () => {
  it('are the same wherever the chunks break, also inside a character', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\n', '\u2028'))),
        fc.integer({ min: 1, max: 7 }),
        async (texts, size) => {
          const bytes = Buffer.from(texts.join('\n'));
          const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
            bytes.subarray(index * size, (index + 1) * size),
          );
          const whole = bytes.toString('utf8').split('\n');
          const expected = whole.map((text, index) => ({ number: index + 1, text })).filter(({ text }) => text.trim());
          expect(await all(splitLines(chunks))).toEqual(expected);
        },
      ),
    );
  });

  it('are read from plain and gzip files alike', async () => {
    const content = '{"a":1}\n\n{"b":"\u2028é"}';
    const files = [join(dir, 'plain.jsonl'), join(dir, 'packed.bin')] as const;
    await writeFile(files[0], content);
    await writeFile(files[1], gzipSync(content));
    const expected: Line[] = [
      { number: 1, text: '{"a":1}' },
      { number: 3, text: '{"b":"\u2028é"}' },
    ];
    for (const file of files) expect(await all(readLines(file))).toEqual(expected);
  });

  it('an overlong one is given up, and the next is read', async () => {
    const file = join(dir, 'overlong.jsonl');
    await writeFile(file, `${'x'.repeat(3 * MAX_LINE_BYTES)}\nshort`);
    expect(await all(readLines(file))).toEqual([
      { number: 1, text: null },
      { number: 2, text: 'short' },
    ]);
  });

  it('an empty file has none; a missing and a broken one are named', async () => {
    const empty = join(dir, 'empty');
    await writeFile(empty, '');
    expect(await all(readLines(empty))).toEqual([]);
    await expect(all(readLines(join(dir, 'nowhere')))).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
    const cut = join(dir, 'cut.gz');
    await writeFile(cut, gzipSync('{"a":1}\n'.repeat(1_000)).subarray(0, 40));
    await expect(all(readLines(cut))).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
  });
});

describe('a chat line', () => {
  const parse = (fields: unknown, number = 7) => parseChatLine({ number, text: JSON.stringify(fields) });
  const good = { conversation_id: 'c', speaker: 'user', text: 'hello' };

  it('takes the line number for an id, and seconds or milliseconds for a time', () => {
    expect(parse({ ...good, turn: 3, labels: {} })).toEqual({ ...good, id: '7', sent_at: null });
    expect(parse({ ...good, id: 'm1', ts: 1_589_375_697 })).toMatchObject({ id: 'm1', sent_at: 1_589_375_697_000 });
    expect(parse({ ...good, sent_at: 1_790_000_000_123 })).toMatchObject({ sent_at: 1_790_000_000_123 });
  });

  it('passes on what the protocol knows beside', () => {
    const extra = { user_id: 'u', channel: 'web', bot_version: '2', metadata: { k: 'v' } };
    expect(parse({ ...good, ...extra })).toMatchObject(extra);
  });

  it.each([
    ['not JSON', '{', 'is not JSON'],
    ['an array', '[]', 'is not a JSON object'],
    ['no text', '{"conversation_id":"c","speaker":"user"}', 'has no string "text"'],
    ...[{}, '', 'x'.repeat(96), '\ud800', 'a\0b'].map((id) => [
      'an id that the gateway could not name',
      JSON.stringify({ ...good, id }),
      'has an "id" that is no number and no string of 1 to 95 characters',
    ]),
    ['words for a time', JSON.stringify({ ...good, ts: 'today' }), 'has a "sent_at" or "ts" that is not a number'],
  ])('says what is wrong: %s', (_, text, problem) => {
    expect(parseChatLine({ number: 3, text })).toEqual({ line: 3, problem });
  });
});

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
      { line: 2, problem: 'is not JSON' },
      line('2', 'c'),
      line('3', 'c'),
      line('4', 'c'),
    ]);
    expect(sender.counts).toEqual({
      sent: 3,
      acked: 2,
      refused: { text_too_long: 1 },
      bad_lines: 1,
      bad_line_examples: [{ line: 2, problem: 'is not JSON' }],
    });
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
    expect(some('a').every((line) => !isBadLine(line))).toBe(true);
  });
});
