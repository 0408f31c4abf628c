import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameSpec {
  readonly opcode?: number;
  readonly payload?: Buffer;
  readonly fin?: boolean;
  /** Reserved bits, 1 to 7; 4 is RSV1, "compressed". */
  readonly reserved?: number;
  readonly masked?: boolean;
  /** A length to announce instead of the payload's own. */
  readonly announce?: bigint;
}

/** One frame of RFC 6455 §5.2, as wrong as it is asked to be. */
export function frame({ opcode = OPCODES.text, payload = Buffer.alloc(0), ...spec }: FrameSpec): Buffer {
  const { fin = true, reserved = 0, masked = true, announce = BigInt(payload.length) } = spec;
  const mask = masked ? randomBytes(4) : Buffer.alloc(0);
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const body = masked ? payload.map((byte, i) => byte ^ (mask[i & 3] as number)) : payload;
  return Buffer.concat([Buffer.from([first]), lengthOf(announce, masked), mask, body]);
}

function lengthOf(length: bigint, masked: boolean): Buffer {
  const bit = masked ? 0x80 : 0;
  if (length < 126n) return Buffer.from([bit | Number(length)]);
  const long = Buffer.alloc(length < 65_536n ? 3 : 9);
  long[0] = bit | (long.length === 3 ? 126 : 127);
  if (long.length === 3) long.writeUInt16BE(Number(length), 1);
  else long.writeBigUInt64BE(length, 1);
  return long;
}

/** How the other side ended it: a close code, an HTTP status, or without a word. */
export type End = number | 'cut';

/** A TCP connection that may become a WebSocket, without a library that would keep it from doing wrong. */
export class Wire {
  readonly ended: Promise<End>;
  /** Opcodes of the server's frames, in order. */
  readonly opcodes: number[] = [];
  readonly texts: string[] = [];
  /** The head of the server's answer to the handshake. */
  head = '';
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #closeCode: number | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#read(chunk));
    // Whoever is cut off in the middle of writing gets a reset.
    socket.on('error', () => {});
    this.ended = new Promise((resolve) =>
      socket.once('close', () => resolve(this.#closeCode ?? this.#status ?? 'cut')),
    );
  }

  static async connect(url: string): Promise<Wire> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    const wire = new Wire(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return wire;
  }

  /** Resolves with the welcome. */
  static async open(url: string, token: string, headers: readonly string[] = []): Promise<Wire> {
    const wire = await Wire.connect(url);
    wire.write(Wire.request(url, token, headers));
    await new Promise<void>((resolve, reject) => {
      wire.#onText = resolve;
      void wire.ended.then((end) => reject(new Error(`no welcome: ${end} ${wire.head}`)));
    });
    return wire;
  }

  static request(url: string, token: string, headers: readonly string[] = []): string {
    const { host, pathname } = new URL(url);
    return [
      `GET ${pathname} HTTP/1.1`,
      `Host: ${host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      `Authorization: Bearer ${token}`,
      ...headers,
      '\r\n',
    ].join('\r\n');
  }

  #onText: (() => void) | undefined;

  write(data: string | Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(data);
  }

  /** Reads nothing from here on. */
  pause(): void {
    this.#socket.pause();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get #status(): number | undefined {
    const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(this.head) ?? [];
    return status === undefined || status === '101' ? undefined : Number(status);
  }

  #read(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.head === '' || this.#status !== undefined) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.head = this.#received.subarray(0, end).toString('latin1');
      this.#received = this.#received.subarray(end + 4);
      if (this.#status !== undefined) return;
    }
    for (let next = this.#frame(); next; next = this.#frame());
  }

  /** A server's frames are whole, unmasked and below 64 KiB here. */
  #frame(): boolean {
    const bytes = this.#received;
    if (bytes.length < 2) return false;
    const short = (bytes[1] as number) & 0x7f;
    const at = short === 126 ? 4 : 2;
    if (bytes.length < at) return false;
    const length = short === 126 ? bytes.readUInt16BE(2) : short;
    if (bytes.length < at + length) return false;
    const opcode = (bytes[0] as number) & 0x0f;
    const payload = bytes.subarray(at, at + length);
    this.opcodes.push(opcode);
    if (opcode === OPCODES.close) this.#closeCode = length >= 2 ? payload.readUInt16BE(0) : 1005;
    if (opcode === OPCODES.text) {
      this.texts.push(payload.toString('utf8'));
      this.#onText?.();
    }
    this.#received = bytes.subarray(at + length);
    return true;
  }
}
