import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { TopicId } from './brands.ts';
import { LEDGER_SPAN, type OffsetLedger } from './offset-ledger.ts';

/**
 * The completed offsets above the watermark as the metadata of an offset commit:
 *
 *     <version>.<crc32, hex>.<topic id>.<base64url of deflate(kind, payload)>
 *
 * The payload is the smaller of run lengths (varints; incomplete run first, then alternating) and a bitset, both from the
 * watermark on. The checksum covers the watermark and the topic id too, so that a set never meets another offset.
 *
 * The largest it can get: 16,384 bits are 2,048 bytes, 2,054 with kind and deflate's stored block, 2,739 in base64url,
 * 2,773 with the head; the broker takes 4,096.
 */
const VERSION = 1;
const KIND_RUNS = 0;
const KIND_BITS = 1;
const MAX_PAYLOAD_BYTES = (LEDGER_SPAN >> 3) + 1;
/** Up to here deflate saves nothing that matters, and setting it up takes 24 µs, ten times a second and partition. */
const MAX_STORED_BYTES = 256;
/** The head of deflate's stored block, the last one (RFC 1951, 3.2.4): its mark, the length, and the length inverted. */
const STORED_HEAD_BYTES = 5;
const LAST_STORED_BLOCK = 1;

export type LedgerMetadata =
  | { readonly state: 'read'; readonly completed: readonly number[] }
  /** Treated as "nothing above the watermark is done": the worst is a repeated call, never a skip. */
  | { readonly state: 'missing' | 'foreign' | 'corrupt' | 'newer'; readonly completed: readonly [] }
  /** A commit of ours for a topic of this name that was deleted since: its offset means nothing in this one. */
  | { readonly state: 'other_topic'; readonly completed: readonly [] };

const checksum = (watermark: number, topicId: string, body: string): string =>
  crc32(`${watermark}.${topicId}.${body}`).toString(16).padStart(8, '0');

export function encodeLedger(ledger: OffsetLedger, topicId: TopicId): string {
  const { watermark } = ledger;
  const body = ledger.completedAhead === 0 ? '' : deflated(payloadOf(ledger)).toString('base64url');
  return `${VERSION}.${checksum(watermark, topicId, body)}.${topicId}.${body}`;
}

function deflated(payload: Buffer): Buffer {
  if (payload.length > MAX_STORED_BYTES) return deflateRawSync(payload);
  const block = Buffer.alloc(STORED_HEAD_BYTES + payload.length);
  block.writeUInt8(LAST_STORED_BLOCK);
  block.writeUInt16LE(payload.length, 1);
  block.writeUInt16LE(~payload.length & 0xffff, 3);
  payload.copy(block, STORED_HEAD_BYTES);
  return block;
}

/** Never throws, whatever an operator or another program left there. */
export function decodeLedger(metadata: string, topicId: TopicId, watermark: number): LedgerMetadata {
  if (metadata === '') return { state: 'missing', completed: [] };
  const match = /^(\d{1,3})\.([0-9a-f]{8})\.([\w-]{22})\.([\w-]*)$/.exec(metadata);
  if (!match) return { state: 'foreign', completed: [] };
  const [, version, sum, owner, body] = match as unknown as [string, string, string, string, string];
  if (Number(version) > VERSION) return { state: 'newer', completed: [] };
  if (sum !== checksum(watermark, owner, body)) return { state: 'corrupt', completed: [] };
  if (owner !== topicId) return { state: 'other_topic', completed: [] };
  if (body === '') return { state: 'read', completed: [] };
  try {
    const payload = inflateRawSync(Buffer.from(body, 'base64url'), { maxOutputLength: MAX_PAYLOAD_BYTES });
    return { state: 'read', completed: offsetsOf(payload, watermark) };
  } catch {
    // Not deflate after all, or too long: the checksum held by chance or by intent; nothing in it can be believed.
    return { state: 'corrupt', completed: [] };
  }
}

function payloadOf(ledger: OffsetLedger): Buffer {
  const runs: number[] = [KIND_RUNS];
  const bits = Buffer.alloc(MAX_PAYLOAD_BYTES);
  bits[0] = KIND_BITS;
  let expected = ledger.watermark;
  let runStart = expected;
  let last = expected;
  for (const offset of ledger.completed()) {
    if (offset !== expected) {
      if (expected > runStart) pushVarint(runs, expected - runStart);
      pushVarint(runs, offset - expected);
      runStart = offset;
    }
    expected = offset + 1;
    last = offset - ledger.watermark;
    const byte = 1 + (last >> 3);
    bits[byte] = (bits[byte] as number) | (1 << (last & 7));
  }
  pushVarint(runs, expected - runStart);
  const bitset = bits.subarray(0, 2 + (last >> 3));
  return runs.length < bitset.length ? Buffer.from(runs) : bitset;
}

function offsetsOf(payload: Buffer, watermark: number): number[] {
  return payload[0] === KIND_BITS ? fromBits(payload.subarray(1), watermark) : fromRuns(payload.subarray(1), watermark);
}

function fromBits(bits: Buffer, watermark: number): number[] {
  const completed: number[] = [];
  for (let bit = 0; bit < bits.length * 8; bit++) {
    if (((bits[bit >> 3] as number) & (1 << (bit & 7))) !== 0) completed.push(watermark + bit);
  }
  return completed;
}

function fromRuns(bytes: Buffer, watermark: number): number[] {
  const completed: number[] = [];
  let offset = watermark;
  let done = false;
  for (let at = 0; at < bytes.length; done = !done) {
    let run = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 14) throw new RangeError('a run length is cut or too long');
      run |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) break;
    }
    if (offset + run > watermark + LEDGER_SPAN) throw new RangeError('a run leaves the span');
    if (done) for (let each = 0; each < run; each++) completed.push(offset + each);
    offset += run;
  }
  return completed;
}

function pushVarint(bytes: number[], value: number): void {
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
}
