import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jsonLines, readContent, readFiles } from './testing/read.ts';

const turn = (n: number) => ({ conversation_id: 'c', speaker: n % 2 ? 'bot' : 'user', text: `turn ${n} ünd 🦊` });
const turns = [0, 1, 2].map(turn);
const texts = turns.map(({ text }) => text);

describe('packings and encodings', () => {
  const content = jsonLines(...turns);
  it.each([
    ['plain', Buffer.from(content), null],
    ['gzip', gzipSync(content), 'gzip'],
    ['zstd', zstdCompressSync(content), 'zstd'],
    ['gzip in zstd', zstdCompressSync(gzipSync(content)), 'zstd, gzip'],
  ])('%s is told by the first bytes', async (_, bytes, packing) => {
    const { lines, inputs } = await readContent(bytes);
    expect(lines.map(({ text }) => text)).toEqual(texts);
    expect(inputs).toMatchObject([{ packing, form: 'JSON Lines', shape: 'messages' }]);
  });

  const swapped = (text: string) => Buffer.from(text, 'utf16le').swap16();
  it.each([
    ['UTF-8 with a mark', Buffer.from(`\ufeff${content}`), 'utf-8'],
    ['UTF-16 of Windows', Buffer.from(`\ufeff${content}`, 'utf16le'), 'utf-16le'],
    ['UTF-16 without a mark', Buffer.from(content, 'utf16le'), 'utf-16le'],
    ['UTF-16, big end first', swapped(`\ufeff${content}`), 'utf-16be'],
  ])('%s is read', async (_, bytes, encoding) => {
    const { lines, inputs, leftOut } = await readContent(bytes);
    expect(lines.map(({ text }) => text)).toEqual(texts);
    expect(inputs).toMatchObject([{ encoding }]);
    expect(leftOut).toEqual([]);
  });

  it('bytes that are no UTF-8 are replaced and counted, honest replacement characters are not', async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"conversation_id":"c","speaker":"user","text":"caf'),
      Buffer.from([0xe9]),
      Buffer.from(' \ufffd"}'),
    ]);
    const { lines, mended } = await readContent(bytes);
    expect(lines).toMatchObject([{ text: 'caf\ufffd \ufffd' }]);
    expect(mended.bytes).toBe(1);
  });

  it('a zip archive is read file by file in the order of names; what is no chat is passed over', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-zip-'));
    try {
      await writeFile(join(folder, 'b.jsonl'), jsonLines(turn(1)));
      await writeFile(join(folder, 'a.json'), JSON.stringify([turn(0)]));
      await writeFile(join(folder, 'settings.json'), '{"theme":"dark"}');
      await writeFile(join(folder, 'photo.jpg'), 'x');
      execFileSync('zip', ['-q', '-X', 'all.zip', 'b.jsonl', 'a.json', 'settings.json', 'photo.jpg'], { cwd: folder });
      const { lines, leftOut, inputs } = await readFiles([join(folder, 'all.zip')]);
      expect(lines.map(({ id, text }) => [id, text])).toEqual([
        ['1', texts[0]],
        ['f2.1', texts[1]],
      ]);
      expect(inputs).toMatchObject([
        { packing: 'zip', form: 'JSON, []' },
        { packing: 'zip', form: 'JSON, one object' },
      ]);
      expect(leftOut).toMatchObject([{ reason: 'unknown_shape' }]);
      execFileSync('zip', ['-q', 'no-chats.zip', 'photo.jpg'], { cwd: folder });
      await expect(readFiles([join(folder, 'no-chats.zip')])).rejects.toMatchObject({
        code: 'INPUT_UNREADABLE',
        message: expect.stringContaining('photo.jpg'),
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('- is stdin', async () => {
    async function* stdin() {
      yield gzipSync(content);
    }
    const { lines } = await readFiles(['-'], { stdin });
    expect(lines).toHaveLength(3);
  });

  it.each([
    ['a missing file', undefined, 'ENOENT'],
    ['a cut one', gzipSync(content).subarray(0, 40), 'unexpected end of file'],
    ['bzip2', Buffer.from('BZh91AY&SY'), 'bzcat'],
    ['a zip from a pipe', zstdCompressSync(Buffer.from('504b0304', 'hex')), 'unzip -p'],
  ])('%s is named', async (_, bytes, words) => {
    const reading = bytes ? readContent(bytes) : readFiles([join(tmpdir(), 'parley-nowhere')]);
    await expect(reading).rejects.toMatchObject({ code: 'INPUT_UNREADABLE', message: expect.stringContaining(words) });
  });

  it('an empty file holds nothing', async () => {
    expect(await readContent('')).toMatchObject({ lines: [], leftOut: [], inputs: [] });
  });
});

describe('JSON in any arrangement', () => {
  it.each([
    ['JSON Lines', jsonLines(...turns), 'JSON Lines'],
    ['JSON Lines of Windows', jsonLines(...turns).replaceAll('\n', '\r\n'), 'JSON Lines'],
    ['a list over many lines', JSON.stringify(turns, null, 2), 'JSON, []'],
    ['a list in one line', JSON.stringify(turns), 'JSON, []'],
    ['an object around it', JSON.stringify({ guild: { name: 'x' }, messages: turns }, null, 2), 'JSON, messages[]'],
    [
      'an object around an object around it',
      JSON.stringify({ ok: true, result: { rows: turns } }),
      'JSON, result.rows[]',
    ],
    ['documents after each other', turns.map((each) => JSON.stringify([each], null, 1)).join('\n'), 'JSON, []'],
  ])('%s holds the same messages', async (_, content, form) => {
    const { lines, inputs, leftOut } = await readContent(content);
    expect(lines.map(({ conversation_id, speaker, text }) => ({ conversation_id, speaker, text }))).toEqual(turns);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(3);
    expect(leftOut).toEqual([]);
    expect(inputs[0]?.form === form || inputs[0]?.form === 'JSON Lines').toBe(true);
  });

  it('a list that is larger than the sample comes through whole', async () => {
    const many = Array.from({ length: 20_000 }, (_, n) => turn(n));
    const { lines } = await readContent(JSON.stringify({ about: 'x', messages: many, count: many.length }));
    expect(lines.map(({ text }) => text)).toEqual(many.map(({ text }) => text));
  });

  it('ids keep their digits, also above 2^53', async () => {
    const line = (id: string) => `{"id":${id},"conversation_id":${id}7,"speaker":"user","text":"x"}`;
    const ids = ['1144332255667788990', '1144332255667788991', '77'];
    for (const content of [ids.map(line).join('\n'), `[${ids.map(line).join(',\n')}]`]) {
      const { lines } = await readContent(content);
      expect(lines.map(({ id, conversation_id }) => [id, conversation_id])).toEqual(ids.map((id) => [id, `${id}7`]));
    }
  });

  it('what is wrong is named by line, character and the character itself; a bad line costs that line alone', async () => {
    const content = [jsonLines(turn(0)), '{"text": "é", oops}', jsonLines(turn(2)), '{"text": "cut'].join('\n');
    const { lines, leftOut } = await readContent(content);
    expect(lines).toHaveLength(2);
    expect(leftOut).toMatchObject([
      { reason: 'not_json', place: { line: 2, character: 15 }, found: 'o' },
      { reason: 'not_json', place: { line: 4, character: 14 }, found: null },
    ]);
  });

  it('a document is read up to what is wrong in it', async () => {
    const content = `[\n${JSON.stringify(turn(0))},\n${JSON.stringify(turn(1))},\n{"text": nope}\n]`;
    const { lines, leftOut } = await readContent(content);
    expect(lines).toHaveLength(2);
    expect(leftOut).toMatchObject([{ reason: 'not_json', place: { line: 4, character: 11 }, found: 'o' }]);
    const cut = await readContent(content.slice(0, 100));
    expect(cut.leftOut).toMatchObject([{ reason: 'not_json', found: null }]);
  });

  it('any list of messages is the same as lines and as a list, wherever the chunks break', async () => {
    const message = fc.record({
      conversation_id: fc.constantFrom('a', 'b'),
      speaker: fc.constantFrom('user', 'bot'),
      text: fc.string({ unit: 'grapheme' }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 20 }),
        fc.constantFrom(0, 2),
        async (messages, indent) => {
          async function* bytewise(content: string) {
            for (const byte of Buffer.from(content)) yield Buffer.from([byte]);
          }
          const read = async (content: string) => (await readFiles(['-'], { stdin: () => bytewise(content) })).lines;
          const expected = messages.map((each, index) => ({ ...each, id: String(index + 1), sent_at: null }));
          expect(await read(jsonLines(...messages))).toEqual(expected);
          expect(await read(JSON.stringify(messages, null, indent))).toEqual(expected);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('a shape that is not known', () => {
  it('is named with the fields that are there', async () => {
    await expect(readContent('{"a":1,"b":2}\n{"a":1}')).rejects.toMatchObject({
      code: 'INPUT_SHAPE_UNKNOWN',
      message: expect.stringMatching(/hold a, b;.*--map/),
    });
    await expect(readContent('hello')).rejects.toMatchObject({ code: 'INPUT_SHAPE_UNKNOWN' });
  });

  it('is read by a mapping', async () => {
    const map = new Map([
      ['text', 'said.words'],
      ['speaker', 'by'],
      ['conversation_id', 'room'],
      ['sent_at', 'when'],
    ] as const);
    const record = { said: { words: 'hi' }, by: 'shop', room: 5, when: '2026-01-01T00:00:00Z' };
    for (const content of [jsonLines(record), JSON.stringify({ export: [record] })]) {
      const { lines } = await readContent(content, { map, speakers: new Map([['shop', 'bot']]) });
      expect(lines).toEqual([
        { id: '1', conversation_id: '5', speaker: 'bot', text: 'hi', sent_at: Date.UTC(2026, 0, 1) },
      ]);
    }
  });
});
