import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Transform, Writable } from 'node:stream';
import { constants, createBrotliCompress, createDeflate, createGzip, createZstdCompress, type Zlib } from 'node:zlib';
import { BlockCompressor, type BlockMethod } from './compressed-blocks.ts';
import { ClickHouseException, renderException, statusOf } from './exception.ts';
import { NativeRevision } from './native-revision.ts';

/** Figures of `X-ClickHouse-Summary`. */
export interface Summary {
  readonly read_rows: number;
  readonly read_bytes: number;
  readonly written_rows: number;
  readonly written_bytes: number;
  readonly result_rows: number;
  readonly result_bytes: number;
  readonly elapsed_ns: number;
}

// Level 3 and brotli 3: the link is loopback, so a processor's time is worth more than bytes.
const COMPRESSORS: Readonly<Record<string, () => Transform>> = {
  gzip: () => createGzip({ level: 3 }),
  zstd: () => createZstdCompress(),
  br: () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 3 } }),
  deflate: () => createDeflate({ level: 3 }),
};

/** The first encoding of `Accept-Encoding` that is known here, in the client's order. */
export function chooseEncoding(accepted: string | undefined): string | undefined {
  const names = (accepted ?? '').split(',').map((item) => item.trim().split(';', 1)[0] ?? '');
  return names.find((name) => name in COMPRESSORS);
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  JSON: 'application/json; charset=UTF-8',
  JSONCompact: 'application/json; charset=UTF-8',
  JSONStrings: 'application/json; charset=UTF-8',
  CSV: 'text/csv; charset=UTF-8; header=absent',
  CSVWithNames: 'text/csv; charset=UTF-8; header=present',
  XML: 'application/xml; charset=UTF-8',
};
const TEXT_FORMAT = /^(TSV|TabSeparated|Pretty|Vertical|Values|Markdown|MD|LineAsString|TSKV)/;
export function contentType(format: string): string {
  if (CONTENT_TYPES[format]) return CONTENT_TYPES[format];
  if (format.startsWith('JSON')) return 'application/x-ndjson; charset=UTF-8';
  if (TEXT_FORMAT.test(format)) return 'text/tab-separated-values; charset=UTF-8';
  return 'application/octet-stream';
}

const stringify = (summary: Summary): string =>
  JSON.stringify({
    ...Object.fromEntries(Object.entries(summary).map(([name, value]) => [name, String(Math.round(value))])),
    total_rows_to_read: '0',
  });

/**
 * One response. Bytes are held back up to a bound: while they are, an exception still gets its proper status and the
 * summary its final figures. After that the head is out, and an exception follows in the body in the way that clients
 * know (the tag of `X-ClickHouse-Exception-Tag`).
 */
export class QueryResponse {
  readonly #response: ServerResponse;
  readonly #encoding: string | undefined;
  readonly #blocks: BlockMethod | undefined;
  #holdBytes = 0;
  #native: NativeRevision | undefined;
  readonly #sendTimeoutMs: number;
  readonly #exceptionTag: string;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #out: Writable | undefined;
  bytes = 0;

  constructor(
    response: ServerResponse,
    options: {
      encoding: string | undefined;
      blocks: BlockMethod | undefined;
      sendTimeoutMs: number;
      exceptionTag: string;
    },
  ) {
    this.#response = response;
    this.#encoding = options.encoding;
    this.#blocks = options.blocks;
    this.#sendTimeoutMs = options.sendTimeoutMs;
    this.#exceptionTag = options.exceptionTag;
  }

  /** Where the body may still be held back, all of it: an end of JSON has the engine's statistics. */
  get heldTail(): string {
    return this.#out ? '' : Buffer.concat(this.#held).subarray(-512).toString();
  }

  /** Bytes to hold back before the head goes out. */
  hold(bytes: number): void {
    this.#holdBytes = bytes;
  }

  #begin(status: number): Writable {
    this.#response.statusCode = status;
    this.#response.setHeader('X-ClickHouse-Exception-Tag', this.#exceptionTag);
    const compressor = this.#compressor();
    if (!compressor) return this.#response;
    compressor.pipe(this.#response);
    this.#response.once('close', () => compressor.destroy());
    return compressor;
  }

  #compressor(): Transform | undefined {
    if (this.#blocks) return new BlockCompressor(this.#blocks);
    const create = this.#encoding ? COMPRESSORS[this.#encoding] : undefined;
    if (!create) return undefined;
    this.#response.setHeader('Content-Encoding', this.#encoding ?? 'identity');
    this.#response.appendHeader('Vary', 'Accept-Encoding');
    return create();
  }

  /** From now on what is written is Native blocks, to be sent as of a revision of the protocol. */
  asRevision(revision: number): void {
    this.#native = new NativeRevision(revision);
  }

  /**
   * Takes bytes of the result; resolves when the client has room for more.
   *
   * @throws when the client takes nothing for the send timeout, or has gone.
   */
  async write(chunk: Buffer): Promise<void> {
    if (!this.#native) return this.#put(chunk);
    for (const piece of this.#native.feed(chunk)) await this.#put(piece);
  }

  async #put(chunk: Buffer): Promise<void> {
    this.bytes += chunk.length;
    if (!this.#out) {
      this.#held.push(chunk);
      this.#heldBytes += chunk.length;
      if (this.#heldBytes <= this.#holdBytes) return;
      this.#out = this.#begin(200);
      const held = this.#held;
      this.#held = [];
      await this.#send(this.#out, Buffer.concat(held));
    } else await this.#send(this.#out, chunk);
  }

  async #send(out: Writable, chunk: Buffer): Promise<void> {
    if (out.write(chunk)) return;
    await this.#whileOpen(
      once(out, 'drain', { signal: AbortSignal.timeout(this.#sendTimeoutMs) }).catch((error: unknown) => {
        const text = `The client has taken nothing of its result for ${this.#sendTimeoutMs} ms`;
        throw new ClickHouseException('SOCKET_TIMEOUT', text, { cause: error });
      }),
    );
  }

  /** What waits for the client ends with the connection. */
  async #whileOpen(work: Promise<unknown>): Promise<void> {
    if (this.#response.closed) throw new Error('the client has gone');
    let give: () => void = () => undefined;
    const gone = new Promise<never>((_, reject) => {
      give = () => reject(new Error('the client has gone'));
    });
    this.#response.once('close', give);
    try {
      await Promise.race([work, gone]);
    } finally {
      this.#response.off('close', give);
      work.catch(() => undefined);
    }
  }

  /** Ends a response that went well. */
  async end(summary: Summary): Promise<void> {
    for (const piece of this.#native?.end() ?? []) await this.#put(piece);
    if (this.#out) {
      this.#out.end();
      return;
    }
    this.#response.setHeader('X-ClickHouse-Summary', stringify(summary));
    const body = Buffer.concat(this.#held);
    if (!this.#encoding && !this.#blocks) this.#response.setHeader('Content-Length', body.length);
    this.#begin(200).end(body);
  }

  /** Ends a response that failed. */
  async fail(exception: ClickHouseException, version: string): Promise<void> {
    const text = renderException(exception, version);
    if (!this.#out) {
      this.#response.setHeader('X-ClickHouse-Exception-Code', exception.code);
      this.#response.setHeader('Content-Type', 'text/plain; charset=UTF-8');
      this.#begin(statusOf(exception)).end(text);
      return;
    }
    const tag = this.#exceptionTag;
    const length = Buffer.byteLength(text);
    const trailer = `\r\n__exception__\r\n${tag}\r\n${text}${length} ${tag}\r\n__exception__\r\n`;
    const out = this.#out;
    if (exception.type === 'SOCKET_TIMEOUT') {
      // It would not take this either.
      this.#response.destroy();
      return;
    }
    if (out === this.#response) {
      // The body lacks its end, so that clients which do not know the tag see that something went wrong.
      await this.#whileOpen(new Promise((resolve) => out.write(trailer, resolve)));
      this.#response.socket?.destroySoon();
      return;
    }
    // Cut in the middle, a compressed body makes clients drop what they have not decompressed yet, and the exception
    // with it. So this body ends whole: the tag alone tells. Flushed before, so that the trailer most likely comes out
    // of a decompressor in one piece: clients look for it in one.
    const compressor = out as Transform & Pick<Zlib, 'flush'>;
    await this.#whileOpen(new Promise<void>((resolve) => compressor.flush(() => resolve())));
    compressor.end(trailer);
  }
}
