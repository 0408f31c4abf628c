import { crc32 } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { TopicId } from '../core/brands.ts';
import { decodeCommit, encodeCommit } from './intent.ts';

const TOPIC = 'AAAAAAAAAAAAAAAAAAAAAA' as TopicId;
const OTHER = 'BBBBBBBBBBBBBBBBBBBBBB' as TopicId;
const offsets = fc.nat({ max: 2 ** 40 });
const layouts = fc.integer({ min: 1, max: 1_000 });

describe('the commit metadata', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(offsets, fc.option(fc.integer({ min: 1, max: 100_000 })), layouts, (offset, size, layout) => {
        const metadata = encodeCommit(TOPIC, offset, size === null ? null : offset + size, layout);
        expect(decodeCommit(metadata, TOPIC, offset)).toEqual(
          size === null ? { kind: 'closed', layout } : { kind: 'intent', next: offset + size, layout },
        );
        expect(decodeCommit(metadata, OTHER, offset)).toEqual({ kind: 'other_topic' });
        // The offset beside it was set by an operator.
        expect(decodeCommit(metadata, TOPIC, offset + 1)).toEqual({ kind: 'unknown', why: 'corrupt' });
        expect(Buffer.byteLength(metadata)).toBeLessThan(100);
      }),
    );
  });

  it('is never believed when a character of it changed, whatever it is', () => {
    fc.assert(
      fc.property(offsets, fc.nat(), fc.string({ minLength: 1, maxLength: 1 }), (offset, at, char) => {
        const metadata = encodeCommit(TOPIC, offset, offset + 10, 2);
        const index = at % metadata.length;
        const changed = metadata.slice(0, index) + char + metadata.slice(index + 1);
        if (changed !== metadata) expect(decodeCommit(changed, TOPIC, offset).kind).toBe('unknown');
      }),
    );
    fc.assert(fc.property(fc.string(), (text) => expect(decodeCommit(text, TOPIC, 5).kind).toBe('unknown')));
  });

  it('of version 1, which named no partition count, is understood', () => {
    const text = `parley1 ${TOPIC} 50 60`;
    const metadata = `${text} ${crc32(text).toString(16).padStart(8, '0')}`;
    expect(decodeCommit(metadata, TOPIC, 50)).toEqual({ kind: 'intent', next: 60, layout: undefined });
  });

  it('of a newer version or of others is told apart for the warning', () => {
    expect(decodeCommit('parley3 x', TOPIC, 5)).toEqual({ kind: 'unknown', why: 'newer' });
    expect(decodeCommit('NoMetadata', TOPIC, 5)).toEqual({ kind: 'unknown', why: 'foreign' });
    expect(decodeCommit('', TOPIC, 5)).toEqual({ kind: 'unknown', why: 'empty' });
  });
});
