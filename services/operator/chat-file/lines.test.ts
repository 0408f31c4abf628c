import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Line, MAX_LINE_BYTES, splitLines } from './lines.ts';

async function all(chunks: Buffer[]): Promise<Line[]> {
  const lines: Line[] = [];
  for await (const line of splitLines(chunks)) lines.push(line);
  return lines;
}

describe('lines of a text', () => {
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
          expect(await all(chunks)).toEqual(expected);
        },
      ),
    );
  });

  it('an overlong one is given up, and the next is read', async () => {
    const part = Buffer.alloc(MAX_LINE_BYTES / 2, 'x');
    expect(await all([part, part, part, Buffer.from('\nshort')])).toEqual([
      { number: 1, text: null },
      { number: 2, text: 'short' },
    ]);
  });
});
