import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readConfig } from '../../core/config.ts';
import { FINAL_NACK_CODES } from '../../core/wire-codes.ts';
import { LIMITS_SPEC, limitsOf } from '../config.ts';
import { validateFrame } from '../session/frame-validator.ts';
import { HOSTILE_TEXTS } from './testing/corpus.ts';

const limits = limitsOf(readConfig(LIMITS_SPEC, {}));
const validate = (text: string) => validateFrame(text, { limits, textTooLong: 'refuse' }, { tenant: 't', bot: 'b' });

describe('the frame parser', () => {
  it.each(HOSTILE_TEXTS)('answers $name', ({ text, code }) => {
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(limits.max_frame_bytes);
    const check = validate(text);
    expect(check).toMatchObject({ kind: 'refused', code });
    // The answer stays small, however large the frame was.
    expect(JSON.stringify(check).length).toBeLessThan(600);
  });

  it('gives a check on any damage to a frame, and takes over only what holds', () => {
    const whole = JSON.stringify({
      type: 'message',
      id: 'm1',
      conversation_id: 'c1',
      speaker: 'user',
      text: 'Wo ist mein Päckchen? 🙂',
      sent_at: 1_790_000_000_000,
      attempt: 2,
      metadata: { shop: 'Hamburg', __proto__: 'x' },
    });
    const insert = fc.constantFrom('"', '\\', '{', '}', '[', ',', ':', '\0', '\ud800', '\\u0000', '1e400', '-', 'null');
    const seen = { message: 0, refused: 0, ping: 0, pong: 0 };
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length), fc.nat(4), insert), { minLength: 1, maxLength: 4 }),
        (cuts) => {
          let text = whole;
          for (const [at, length, piece] of cuts) text = text.slice(0, at) + piece + text.slice(at + length);
          const check = validate(text);
          seen[check.kind] += 1;
          if (check.kind === 'refused') expect(FINAL_NACK_CODES).toContain(check.code);
          else if (check.kind === 'message')
            expect(JSON.stringify([check.message, ...check.message.metadata])).not.toMatch(/\\u0000|\\ud[89a-f]/);
        },
      ),
      { numRuns: 5_000 },
    );
    expect(Math.min(seen.message, seen.refused)).toBeGreaterThan(50);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});
