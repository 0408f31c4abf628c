import { randomInt } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { authenticate, type User, withinBounds } from './access.ts';
import type { AnalystJudge } from './analyst-judge.ts';
import { BLOCKS, RequestBody } from './body.ts';
import type { Engine } from './engine.ts';
import { ClickHouseException, fromEngine } from './exception.ts';
import { type PreparedTable, parametersOf, prepareTable } from './external-tables.ts';
import { isForm, MAX_FORM_BYTES, readForm } from './multipart.ts';
import type { Observer } from './observer.ts';
import { type QueryRequest, readRequest } from './request.ts';
import { chooseEncoding, contentType, QueryResponse, type Summary } from './response.ts';
import type { Runner } from './runner.ts';
import { readStatement, type Statement } from './statement.ts';
import type { StatementPrinter } from './statement-printer.ts';

export interface QueryHandlerOptions {
  readonly engine: Engine;
  readonly printer: StatementPrinter;
  readonly judge: AnalystJudge;
  readonly runner: Runner;
  readonly users: ReadonlyMap<string, User>;
  readonly observe: Observer;
  readonly spoolDir: string;
  readonly maxBodyBytes: number;
  readonly sendTimeoutMs: number;
}

/** A statement longer than this (an insert's data not counted) is refused; the engine's own bound is lower. */
const MAX_STATEMENT_BYTES = 1024 * 1024;
const HOLD_BYTES = 256 * 1024;
const WAIT_END_HOLD_BYTES = 32 * 1024 * 1024;
const REFUSALS = {
  empty: ['SYNTAX_ERROR', 'Syntax error: Empty query'],
  multiple: ['SYNTAX_ERROR', 'Syntax error (Multi-statements are not allowed)'],
  outfile: ['UNKNOWN_TYPE_OF_QUERY', 'INTO OUTFILE is not allowed over HTTP'],
  infile: ['UNKNOWN_TYPE_OF_QUERY', 'Query has infile and was sent directly to the server'],
} as const;

const createTag = () => String.fromCharCode(...Array.from({ length: 16 }, () => 97 + randomInt(26)));

interface Progress {
  request: QueryRequest | undefined;
  statement: Statement | undefined;
  body: RequestBody | undefined;
  /** Files of the spool, to be removed. */
  readonly files: { readonly path: string }[];
  summary: Summary | undefined;
  exception: ClickHouseException | undefined;
}

/** One query from its head to its last byte; every failure of it becomes an exception in its answer. */
export async function answerQuery(
  options: QueryHandlerOptions,
  incoming: IncomingMessage,
  response: ServerResponse,
  url: URLSearchParams,
): Promise<void> {
  const started = performance.now();
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const exceptionTag = createTag();
  const open = (request?: QueryRequest) =>
    new QueryResponse(response, {
      encoding: request?.compress ? chooseEncoding(incoming.headers['accept-encoding']) : undefined,
      blocks: request?.blocks,
      sendTimeoutMs: options.sendTimeoutMs,
      exceptionTag,
    });
  let result = open();
  const progress: Progress = {
    request: undefined,
    statement: undefined,
    body: undefined,
    files: [],
    summary: undefined,
    exception: undefined,
  };
  try {
    progress.request = readRequest(url, incoming.headers);
    response.setHeader('X-ClickHouse-Query-Id', Buffer.from(progress.request.queryId).toString('latin1'));
    response.setHeader('X-ClickHouse-Timezone', options.engine.timezone);
    const user = authenticate(options.users, progress.request.user, progress.request.password);
    const input = await readInput(options, incoming, url, progress);
    progress.request = withinBounds(user, input.request);
    result = open(progress.request);
    const ask = { ...input, user, request: progress.request, method: incoming.method, signal: gone.signal };
    progress.summary = await runQuery(options, response, ask, progress, result);
    await result.end(progress.summary);
  } catch (error) {
    progress.exception = fromEngine(error).forUser(progress.request?.user ?? '');
    if (!incoming.complete) {
      await (progress.body ?? new RequestBody(incoming, options.maxBodyBytes, 'identity')).discard();
      response.setHeader('Connection', 'close');
    }
    if (!gone.signal.aborted)
      await result.fail(progress.exception, options.engine.version).catch(() => response.destroy());
  } finally {
    for (const { path } of progress.files) rmSync(path, { force: true });
    options.observe({
      queryId: progress.request?.queryId ?? '',
      user: progress.request?.user ?? '',
      kind: progress.statement?.kind ?? 'refused',
      elapsedMs: performance.now() - started,
      bytesIn: progress.body?.bytes ?? 0,
      bytesOut: result.bytes,
      summary: progress.summary,
      exception: progress.exception,
    });
  }
}

/** A request with its form read, if its body is one. */
interface Input {
  readonly request: QueryRequest;
  readonly body: RequestBody;
  readonly tables: readonly PreparedTable[];
}

/** Reads the form of a multipart body: its fields are parameters, its files are tables for this query. */
async function readInput(
  options: QueryHandlerOptions,
  incoming: IncomingMessage,
  url: URLSearchParams,
  progress: Progress,
): Promise<Input> {
  const request = progress.request as QueryRequest;
  const body = new RequestBody(incoming, options.maxBodyBytes, request.isBodyInBlocks ? BLOCKS : undefined);
  progress.body = body;
  const contentType = incoming.headers['content-type'];
  if (!isForm(contentType)) return { request, body, tables: [] };
  const { head, whole } = await body.head(MAX_FORM_BYTES + 1);
  if (!whole) throw new ClickHouseException('QUERY_IS_TOO_LARGE', `A form has at most ${MAX_FORM_BYTES} bytes here`);
  const form = await readForm(contentType, head);
  const merged = new URLSearchParams([
    ...url,
    ...form.fields.map(([name, value]) => [name, value] as [string, string]),
  ]);
  const tables = form.tables.map((table) => {
    const prepared = prepareTable(options.engine, merged, table, options.spoolDir, createTag());
    progress.files.push({ path: prepared.file });
    return prepared;
  });
  return {
    request: { ...readRequest(merged, incoming.headers, parametersOf(form.tables)), queryId: request.queryId },
    body,
    tables,
  };
}

interface Ask extends Input {
  readonly user: User;
  readonly method: string | undefined;
  readonly signal: AbortSignal;
}

async function runQuery(
  options: QueryHandlerOptions,
  response: ServerResponse,
  { request, body, tables, user, method, signal }: Ask,
  progress: Progress,
  result: QueryResponse,
): Promise<Summary> {
  const { statement, first } = await readQuery(options, user, request, body, signal);
  progress.statement = statement;
  if (method !== 'POST' && statement.kind !== 'result') {
    throw new ClickHouseException(
      'READONLY',
      'Cannot execute query in readonly mode: the method GET implies it; use POST',
    );
  }
  let dataFile: string | undefined;
  if (statement.kind === 'insert') {
    const file = await body.spool(options.spoolDir, createTag(), first);
    progress.files.push(file);
    dataFile = file.path;
  }
  const named = statement.kind === 'result' ? statement.format : undefined;
  const format = named ?? request.defaultFormat ?? 'TabSeparated';
  if (!options.engine.isFormat(format)) throw new ClickHouseException('UNKNOWN_FORMAT', `Unknown format ${format}`);
  result.hold(/WithProgress$/i.test(format) ? 0 : request.waitEndOfQuery ? WAIT_END_HOLD_BYTES : HOLD_BYTES);
  if (statement.kind === 'result' && /^native$/i.test(format) && request.revision > 0)
    result.asRevision(request.revision);
  response.setHeader('X-ClickHouse-Format', format);
  response.setHeader('Content-Type', contentType(format));
  return options.runner.run({ request, user, statement, format, dataFile, tables, signal }, result);
}

interface ReadQuery {
  readonly statement: Exclude<Statement, { kind: 'refused' }>;
  /** The rows of an insert that came with its statement. */
  readonly first: Buffer<ArrayBuffer>;
}

/**
 * Reads the statement. An insert with rows goes to the engine as it came, after this lexer found where its rows begin;
 * everything else is printed by the engine first, and the print is what is judged and what runs.
 */
async function readQuery(
  options: QueryHandlerOptions,
  user: User,
  request: QueryRequest,
  body: RequestBody,
  signal: AbortSignal,
): Promise<ReadQuery> {
  const { isFormat } = options.engine;
  // Offsets into the statement are offsets into bytes: every byte is a character here.
  let text = Buffer.from(request.query).toString('latin1');
  let raw = readStatement(text, isFormat);
  if (raw.kind !== 'insert') {
    const { head, whole } = await body.head(MAX_STATEMENT_BYTES);
    text = [text, head.toString('latin1')].filter((part) => part !== '').join('\n');
    raw = readStatement(text, isFormat);
    if (raw.kind !== 'insert' && !whole && head.length >= MAX_STATEMENT_BYTES) {
      throw new ClickHouseException('QUERY_IS_TOO_LARGE', `A statement has at most ${MAX_STATEMENT_BYTES} bytes`);
    }
  }
  if (raw.kind === 'insert' && !user.readonly) {
    const statement = { ...raw, head: textOf(raw.head), tail: textOf(raw.tail) };
    return { statement, first: dataAfter(text, raw.dataAt) };
  }
  if (raw.kind === 'refused' && raw.reason === 'empty') throw refusalOf(raw.reason);
  // An analyst's insert is refused whatever its rows are.
  const asked = raw.kind === 'insert' ? text.slice(0, raw.dataAt) : text;
  const printed = await options.printer.print(user, textOf(asked), signal);
  const statement = readStatement(printed, isFormat);
  if (statement.kind === 'refused') throw refusalOf(statement.reason);
  if (user.readonly) options.judge.assertAllowed(user, request, printed);
  return { statement, first: Buffer.alloc(0) };
}

const textOf = (latin1: string): string => Buffer.from(latin1, 'latin1').toString();

function refusalOf(reason: keyof typeof REFUSALS): ClickHouseException {
  const [type, text] = REFUSALS[reason];
  return new ClickHouseException(type, text);
}

/** The rows that follow the statement itself, after the spaces and the one line break that belong to it. */
function dataAfter(text: string, dataAt: number): Buffer<ArrayBuffer> {
  const blank = /[ \t\f]*\r?\n?/y;
  blank.lastIndex = dataAt;
  blank.test(text);
  return Buffer.from(text.slice(blank.lastIndex), 'latin1');
}
