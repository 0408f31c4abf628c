import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { BlockMethod } from './compressed-blocks.ts';
import { ClickHouseException } from './exception.ts';

/** Name and value as they came; the engine gives them their type. */
export type Pair = readonly [name: string, value: string];

export interface SessionRequest {
  readonly id: string;
  readonly timeoutS: number;
  /** The session must exist already. */
  readonly check: boolean;
  /** The session ends with this request. */
  readonly close: boolean;
}

/** What a request asks for, apart from its body. */
export interface QueryRequest {
  readonly queryId: string;
  readonly user: string;
  readonly password: string;
  /** The part of the statement that stands in the URL. */
  readonly query: string;
  readonly database: string | undefined;
  readonly defaultFormat: string | undefined;
  readonly settings: readonly Pair[];
  /** Values of `{name:Type}` placeholders, in the escaped form of the protocol. */
  readonly params: readonly Pair[];
  readonly roles: readonly string[];
  readonly session: SessionRequest | undefined;
  /** Hold the result back until the query has ended, as far as the bound on held results allows. */
  readonly waitEndOfQuery: boolean;
  /** Compress with an encoding of HTTP, if the client names one. */
  readonly compress: boolean;
  /** The result goes out in ClickHouse's own compressed blocks. */
  readonly blocks: BlockMethod | undefined;
  /** The body comes in such blocks. */
  readonly isBodyInBlocks: boolean;
  /** Revision of the protocol in which Native blocks are written; 0 is plain. */
  readonly revision: number;
}

/** Parameters of the protocol itself, not settings of the engine. */
// biome-ignore format: one line a group
const OWN_NAMES: ReadonlySet<string> = new Set([
  'query', 'query_id', 'database', 'default_format', 'user', 'password', 'quota_key', 'role',
  'session_id', 'session_timeout', 'session_check', 'close_session',
  'wait_end_of_query', 'buffer_size', 'compress', 'decompress', 'stacktrace', 'client_protocol_version',
  'enable_http_compression', 'http_zlib_compression_level', 'send_progress_in_http_headers',
  'http_headers_progress_interval_ms', 'http_response_buffer_size', 'http_write_exception_in_output_format',
  'cancel_http_readonly_queries_on_client_close', 'http_wait_end_of_query',
]);
const PARAM = 'param_';
const MAX_SESSION_TIMEOUT_S = 3_600;

const isOn = (value: string | null): boolean => value === '1' || value === 'true';
const header = (headers: IncomingHttpHeaders, name: string): string | undefined => {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
};

function credentials(url: URLSearchParams, headers: IncomingHttpHeaders): Pair {
  const named = header(headers, 'x-clickhouse-user');
  const key = header(headers, 'x-clickhouse-key');
  if (named !== undefined || key !== undefined) return [named || 'default', key ?? ''];
  const [scheme, encoded] = (headers.authorization ?? '').split(' ', 2);
  if (scheme?.toLowerCase() === 'basic') {
    const [, name, password] = /^([^:]*):?([\s\S]*)$/.exec(Buffer.from(encoded ?? '', 'base64').toString()) ?? [];
    return [name || 'default', password ?? ''];
  }
  if (scheme) throw new ClickHouseException('AUTHENTICATION_FAILED', `${scheme} authentication is not supported here`);
  return [url.get('user') || 'default', url.get('password') ?? ''];
}

/** Any text but control characters, which have no place in a header; in one it is UTF-8, as the server sends it. */
function queryId(url: URLSearchParams, headers: IncomingHttpHeaders): string {
  const inHeader = header(headers, 'x-clickhouse-query-id');
  const id = url.get('query_id') || (inHeader && Buffer.from(inHeader, 'latin1').toString()) || randomUUID();
  if (CONTROL.test(id)) throw new ClickHouseException('BAD_ARGUMENTS', 'query_id must not contain control characters');
  return id;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/;

/** LZ4 unless the client asks for ZSTD, as in the server. */
const blockMethod = (url: URLSearchParams): BlockMethod =>
  url.get('network_compression_method')?.toUpperCase() === 'ZSTD' ? 'zstd' : 'lz4';

function session(url: URLSearchParams): SessionRequest | undefined {
  const id = url.get('session_id');
  if (!id) return undefined;
  const timeoutS = Number(url.get('session_timeout') ?? 60);
  if (!(timeoutS >= 0 && timeoutS <= MAX_SESSION_TIMEOUT_S)) {
    throw new ClickHouseException(
      'INVALID_SESSION_TIMEOUT',
      `Invalid session timeout: '${url.get('session_timeout')}'; allowed are 0 to ${MAX_SESSION_TIMEOUT_S} seconds`,
    );
  }
  // In a session it could never be taken back.
  if (url.has('readonly')) throw new ClickHouseException('BAD_ARGUMENTS', 'readonly cannot be set for a session here');
  return { id, timeoutS, check: isOn(url.get('session_check')), close: isOn(url.get('close_session')) };
}

/**
 * Reads URL and headers.
 *
 * @param described parameters that describe external tables.
 * @throws {ClickHouseException} for what cannot be honoured.
 */
export function readRequest(
  url: URLSearchParams,
  headers: IncomingHttpHeaders,
  described: ReadonlySet<string> = new Set(),
): QueryRequest {
  const [user, password] = credentials(url, headers);
  const entries = [...url];
  return {
    queryId: queryId(url, headers),
    user,
    password,
    query: url.get('query') ?? '',
    database: url.get('database') || header(headers, 'x-clickhouse-database') || undefined,
    defaultFormat: header(headers, 'x-clickhouse-format') || url.get('default_format') || undefined,
    settings: entries.filter(([name]) => !OWN_NAMES.has(name) && !name.startsWith(PARAM) && !described.has(name)),
    params: entries.flatMap(([name, value]) =>
      name.startsWith(PARAM) ? [[name.slice(PARAM.length), value] as const] : [],
    ),
    roles: url.getAll('role'),
    session: session(url),
    waitEndOfQuery: isOn(url.get('wait_end_of_query')) || isOn(url.get('http_wait_end_of_query')),
    compress: isOn(url.get('enable_http_compression')),
    blocks: isOn(url.get('compress')) ? blockMethod(url) : undefined,
    isBodyInBlocks: isOn(url.get('decompress')),
    revision: Math.max(0, Math.trunc(Number(url.get('client_protocol_version') ?? 0)) || 0),
  };
}
