import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isParleyError } from '../../core/errors.ts';
import { readFiles } from './testing/read.ts';

/** Pieces that files are made of, in orders that no exporter writes. */
const PIECES = [
  '{"conversation_id":"c","speaker":"user","text":"x"}',
  '{"type":"message","ts":"1790000000.000100","text":[{}],"user":5}',
  '{"author":{"isBot":null},"content":{},"timestamp":[]}',
  '{"type":"conversation","source":7,"conversation_parts":{"conversation_parts":[null,{"body":5}]}}',
  '{"id":1,"comments":[{"author_id":{},"body":null}],"users":[null]}',
  '{"events":[{"event":"user","timestamp":null,"parse_data":5,"metadata":[]}]}',
  '{"messages":[{"type":"message","date":{}, "from_id":[]}],"id":{}}',
  '{"role":{},"content":[[[{"text":{"text":{}}}]]]}',
  '{"__proto__":{"text":"y"},"speaker":"constructor","text":"x","conversation_id":"__proto__"}',
  '31.12.23, 22:15 - Ada: hi',
  '[99/99/99, 99:99 PM] \u200e: \u200e',
  '[',
  ']',
  '{',
  '}',
  ',',
  '\n',
  '"',
  '\\',
  '\u0000',
  '\ufeff',
  '9007199254740993',
  '1e999',
  'null',
];

it('a file of any content ends in messages, in what is left out, or in an error that says why', async () => {
  const text = fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: 'binary', maxLength: 5 })), {
    maxLength: 12,
  });
  const bytes = fc.oneof(
    text.map((parts) => Buffer.from(parts.join(''))),
    text.map((parts) => Buffer.from(parts.join('\n'))),
    text.map((parts) => Buffer.from(parts.join(''), 'utf16le')),
    fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)),
    fc.constantFrom('1f8b', '28b52ffd', '504b0304', 'fffe', '504b0506').map((hex) => Buffer.from(hex, 'hex')),
  );
  await fc.assert(
    fc.asyncProperty(bytes, fc.integer({ min: 1, max: 64 }), async (content, size) => {
      async function* stdin() {
        for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
      }
      try {
        const { lines } = await readFiles(['-'], { stdin });
        for (const { id, conversation_id, speaker, text: said, sent_at } of lines) {
          expect([typeof id, typeof conversation_id, typeof said]).toEqual(['string', 'string', 'string']);
          expect(['user', 'bot', 'agent', 'system']).toContain(speaker);
          expect(sent_at === null || Number.isSafeInteger(sent_at)).toBe(true);
        }
      } catch (error) {
        if (!isParleyError(error)) throw error;
        expect(['INPUT_UNREADABLE', 'INPUT_SHAPE_UNKNOWN']).toContain(error.code);
        // What the reader itself stumbles over would come as a fault of the file.
        expect(error.cause).not.toBeInstanceOf(TypeError);
      }
    }),
    { numRuns: 500 },
  );
});
