import { messageOf } from '../core/errors.ts';

/**
 * An exception as ClickHouse tells it: number, name and text. Numbers and names are those of the engine's
 * `ErrorCodes`; the endpoint raises the few below itself.
 */
export class ClickHouseException extends Error {
  override readonly name = 'ClickHouseException';
  readonly code: number;
  readonly type: string;
  /** A status other than the code's own. */
  readonly status: number | undefined;

  constructor(type: OwnExceptionType, message: string, options?: { cause?: unknown; status?: number });
  constructor(type: { code: number; type: string }, message: string, options?: { cause?: unknown; status?: number });
  constructor(
    type: OwnExceptionType | { code: number; type: string },
    message: string,
    options: { cause?: unknown; status?: number } = {},
  ) {
    super(message, options);
    this.code = typeof type === 'string' ? OWN_EXCEPTIONS[type] : type.code;
    this.type = typeof type === 'string' ? type : type.type;
    this.status = options.status;
  }

  /** The engine knows one user only; its messages begin with that user's name. */
  forUser(name: string): ClickHouseException {
    if (!this.message.startsWith('default: ') || name === '' || name === 'default') return this;
    const message = this.message.replace('default', name);
    return new ClickHouseException(this, message, { cause: this, ...(this.status && { status: this.status }) });
  }
}

const OWN_EXCEPTIONS = {
  BAD_ARGUMENTS: 36,
  NOT_IMPLEMENTED: 48,
  CHECKSUM_DOESNT_MATCH: 40,
  CANNOT_DECOMPRESS: 271,
  SYNTAX_ERROR: 62,
  UNKNOWN_FORMAT: 73,
  UNKNOWN_TYPE_OF_QUERY: 78,
  UNKNOWN_COMPRESSION_METHOD: 89,
  READONLY: 164,
  TOO_MANY_SIMULTANEOUS_QUERIES: 202,
  SOCKET_TIMEOUT: 209,
  QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: 216,
  QUERY_IS_TOO_LARGE: 229,
  SESSION_NOT_FOUND: 372,
  SESSION_IS_LOCKED: 373,
  QUERY_WAS_CANCELLED: 394,
  INVALID_SESSION_TIMEOUT: 374,
  SETTING_CONSTRAINT_VIOLATION: 452,
  ACCESS_DENIED: 497,
  SET_NON_GRANTED_ROLE: 512,
  AUTHENTICATION_FAILED: 516,
  STD_EXCEPTION: 1001,
} as const;
export type OwnExceptionType = keyof typeof OWN_EXCEPTIONS;

const ENGINE_MESSAGE = /^(?:Code: (\d+)\. )?(?:DB::Exception: )?([\s\S]*?)(?:\s*\(([A-Z][A-Z0-9_]{2,})\))?\s*$/;
/** The engine repeats the head where one layer wraps another, and adds its version in between. */
const REPEATED_HEAD = /^Code: \d+\. DB::Exception: /;
const REPEATED_TAIL = /\s*\([A-Z][A-Z0-9_]{2,}\)\s*\(version [^)]*\)\.?\s*$/;

/** Whatever the engine threw, as an exception with its number. */
export function fromEngine(error: unknown): ClickHouseException {
  if (error instanceof ClickHouseException) return error;
  const parsed = ENGINE_MESSAGE.exec(messageOf(error));
  const text = (parsed?.[2] ?? '').replace(REPEATED_HEAD, '').replace(REPEATED_TAIL, '');
  return new ClickHouseException({ code: Number(parsed?.[1] ?? 1001), type: parsed?.[3] ?? 'STD_EXCEPTION' }, text, {
    cause: error,
  });
}

/** The text of a response's body: `Code: N. DB::Exception: … (NAME) (version …)`. */
export const renderException = ({ code, message, type }: ClickHouseException, version: string): string =>
  `Code: ${code}. DB::Exception: ${/[.!?]$/.test(message) ? message : `${message}.`} (${type}) (version ${version})\n`;

/**
 * The statuses of ClickHouse's `exceptionCodeToHTTPStatus`; any other exception is a 500. One differs: the server
 * answers 500 to TOO_MANY_SIMULTANEOUS_QUERIES, which proxies and clients do not take as a reason to wait; here 503.
 */
const TYPES_BY_STATUS: Readonly<Record<number, string>> = {
  400: `BAD_ARGUMENTS CANNOT_COMPILE_REGEXP CANNOT_PARSE_TEXT CANNOT_PARSE_ESCAPE_SEQUENCE CANNOT_PARSE_QUOTED_STRING
    CANNOT_PARSE_DATE CANNOT_PARSE_DATETIME CANNOT_PARSE_NUMBER CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING
    CANNOT_PARSE_IPV4 CANNOT_PARSE_IPV6 CANNOT_PARSE_INPUT_ASSERTION_FAILED CANNOT_PARSE_UUID DUPLICATE_COLUMN
    ILLEGAL_COLUMN UNKNOWN_ELEMENT_IN_AST UNKNOWN_TYPE_OF_AST_NODE THERE_IS_NO_COLUMN TOO_DEEP_AST TOO_BIG_AST
    UNEXPECTED_AST_STRUCTURE SYNTAX_ERROR INCORRECT_DATA TYPE_MISMATCH VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE`,
  401: 'REQUIRED_PASSWORD',
  403: 'UNKNOWN_USER WRONG_PASSWORD AUTHENTICATION_FAILED SET_NON_GRANTED_ROLE ACCESS_DENIED',
  404: `UNKNOWN_TABLE UNKNOWN_FUNCTION UNKNOWN_IDENTIFIER UNKNOWN_TYPE UNKNOWN_STORAGE UNKNOWN_DATABASE
    UNKNOWN_SETTING UNKNOWN_DIRECTION_OF_SORTING UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_FORMAT UNKNOWN_DATABASE_ENGINE
    UNKNOWN_TYPE_OF_QUERY UNKNOWN_ROLE`,
  408: 'TIMEOUT_EXCEEDED',
  411: 'HTTP_LENGTH_REQUIRED',
  413: 'QUERY_IS_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  501: 'NOT_IMPLEMENTED',
  503: 'SOCKET_TIMEOUT CANNOT_OPEN_FILE CANNOT_SCHEDULE_TASK TOO_MANY_SIMULTANEOUS_QUERIES',
};
const STATUS_BY_TYPE: ReadonlyMap<string, number> = new Map(
  Object.entries(TYPES_BY_STATUS).flatMap(([status, types]) =>
    types.split(/\s+/).map((type) => [type, Number(status)]),
  ),
);

export const statusOf = ({ type, status }: ClickHouseException): number => status ?? STATUS_BY_TYPE.get(type) ?? 500;
