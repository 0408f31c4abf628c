import { deflateRawSync } from 'node:zlib';
import { type FrameSpec, frame, OPCODES } from './wire.ts';

/** Bytes after a good handshake, and the close code with which they have to be answered. */
export interface HostileFrames {
  readonly name: string;
  readonly bytes: Buffer;
  readonly code: number;
}

const PROTOCOL_ERROR = 1002;
const NOT_UTF8 = 1007;
const TOO_BIG = 1009;

const of = (name: string, code: number, ...frames: FrameSpec[]): HostileFrames => ({
  name,
  code,
  bytes: Buffer.concat(frames.map(frame)),
});
const text = (value: string) => Buffer.from(value);
const bytes = (...values: number[]) => Buffer.from(values);

/** RFC 6455 broken one rule at a time. */
export const HOSTILE_FRAMES: readonly HostileFrames[] = [
  of('truncated UTF-8', NOT_UTF8, { payload: bytes(0x22, 0xe2, 0x82) }),
  of('an overlong encoding', NOT_UTF8, { payload: bytes(0xc0, 0xaf) }),
  of('a surrogate in UTF-8', NOT_UTF8, { payload: bytes(0xed, 0xa0, 0x80) }),
  of(
    'UTF-8 truncated over two fragments',
    NOT_UTF8,
    { payload: bytes(0xe2), fin: false },
    { opcode: OPCODES.continuation, payload: bytes(0x82) },
  ),
  of('a frame of 16 MiB', TOO_BIG, { payload: Buffer.alloc(16 << 20, 'x') }),
  of('16 MiB announced, nothing sent', TOO_BIG, { announce: 16n << 20n }),
  of('a length above 2^53', TOO_BIG, { announce: 1n << 62n }),
  of(
    'fragments that add up',
    TOO_BIG,
    { payload: Buffer.alloc(30_000, 'x'), fin: false },
    ...Array.from({ length: 20 }, () => ({
      opcode: OPCODES.continuation,
      payload: Buffer.alloc(30_000, 'x'),
      fin: false,
    })),
  ),
  of('a compressed bomb', PROTOCOL_ERROR, { payload: deflateRawSync(Buffer.alloc(32 << 20)), reserved: 4 }),
  of('reserved bits', PROTOCOL_ERROR, { payload: text('{}'), reserved: 3 }),
  of('a reserved data opcode', PROTOCOL_ERROR, { opcode: 3, payload: text('{}') }),
  of('a reserved control opcode', PROTOCOL_ERROR, { opcode: 11 }),
  of('no mask', PROTOCOL_ERROR, { payload: text('{}'), masked: false }),
  of('a continuation of nothing', PROTOCOL_ERROR, { opcode: OPCODES.continuation, payload: text('{}') }),
  of('a message within a message', PROTOCOL_ERROR, { payload: text('{'), fin: false }, { payload: text('}') }),
  of('a ping in fragments', PROTOCOL_ERROR, { opcode: OPCODES.ping, fin: false }),
  of('a ping of 126 bytes', PROTOCOL_ERROR, { opcode: OPCODES.ping, payload: Buffer.alloc(126) }),
  of('a close of one byte', PROTOCOL_ERROR, { opcode: OPCODES.close, payload: bytes(3) }),
  of('a close with a code that no one may send', PROTOCOL_ERROR, { opcode: OPCODES.close, payload: bytes(3, 0xed) }),
  of('a close with a reason that is not UTF-8', NOT_UTF8, { opcode: OPCODES.close, payload: bytes(3, 0xe8, 0xff) }),
];

/** Heads of a handshake that no server can take, and the status with which they have to be answered. */
export const HOSTILE_HANDSHAKES: readonly { readonly name: string; readonly head: string; readonly status: number }[] =
  [
    { name: 'noise', head: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n', status: 400 },
    { name: 'a head of 64 KiB', head: `GET / HTTP/1.1\r\nX: ${'x'.repeat(65_536)}\r\n\r\n`, status: 431 },
    { name: 'a header without a name', head: 'GET /v1/stream HTTP/1.1\r\n: x\r\n\r\n', status: 400 },
    {
      name: 'two lengths',
      head: 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      status: 400,
    },
    { name: 'no upgrade', head: 'GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n', status: 426 },
    {
      name: 'no token',
      head: 'GET /v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      status: 401,
    },
  ];
