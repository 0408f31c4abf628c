/** One request as far as the load API looks at it. */
export interface ApiRequest {
  readonly kind: 'single' | 'batch' | 'unknown';
  /** The documents' ids as they stand in the JSON, their bytes as latin1. */
  readonly ids: readonly string[];
  /** The client wants the connection closed after the answer. */
  readonly close: boolean;
}

export interface ReadResult {
  readonly request: ApiRequest;
  /** Bytes that belong to it. */
  readonly length: number;
}

const HEAD_END = Buffer.from('\r\n\r\n');
/** A quote inside a JSON string is escaped, so this stands only where a document's id begins. */
const ID = Buffer.from('"id":"');
const QUOTE = 0x22;
const LENGTH = /\r\ncontent-length: *(\d+)/i;
const CLOSE = /\r\nconnection: *close/i;

/**
 * The first request in `bytes`, or undefined while it is not there in full. HTTP/1.1 with a Content-Length alone, and
 * JSON as `JSON.stringify` writes it, without a parse: this end of a benchmark has to be far cheaper than the other.
 */
export function readRequest(bytes: Buffer): ReadResult | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const length = headEnd + 4 + Number(LENGTH.exec(head)?.[1] ?? 0);
  if (bytes.length < length) return undefined;
  const kind = kindOf(head);
  const ids: string[] = [];
  for (let at = bytes.indexOf(ID, headEnd); at >= 0 && at < length; ) {
    const from = at + ID.length;
    const end = bytes.indexOf(QUOTE, from);
    if (end < 0) break;
    ids.push(bytes.toString('latin1', from, end));
    if (kind === 'single') break;
    at = bytes.indexOf(ID, end);
  }
  return { request: { kind, ids, close: CLOSE.test(head) }, length };
}

function kindOf(head: string): ApiRequest['kind'] {
  if (head.startsWith('POST /v1/analyze ')) return 'single';
  return head.startsWith('POST /v1/analyze:batch ') ? 'batch' : 'unknown';
}
