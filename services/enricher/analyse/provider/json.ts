import { ParleyError } from '../../../core/errors.ts';
import { Reading, type Receiver } from '../callbacks.ts';
import type { Cancellation } from '../cancellation.ts';
import { errorOfStatus, garbage, NlpError } from '../nlp-errors.ts';
import { endpointOf, JSON_HEADERS, withoutQuery } from './endpoint.ts';
import { HttpClient, type HttpResponse } from './http-client.ts';
import { compileInsight, type InsightReader } from './json-insight.ts';
import type { JsonMapping, Match } from './json-mapping.ts';
import { compilePointer, type Pointer } from './json-pointer.ts';
import { compileRequest, type RequestTemplate } from './json-template.ts';
import { parseJson } from './nlp-response.ts';
import type {
  Connection,
  DocumentResult,
  NlpDocument,
  ProviderLimits,
  RequestHeaders,
  RoutedProvider,
} from './provider.ts';

/** Finds the place of a result among the documents of its request. */
type Placer = (item: unknown, position: number, ids: ReadonlyMap<string, number>) => number | undefined;

/** Any HTTP API with JSON in and out, as a mapping file describes it. */
export class JsonProvider implements RoutedProvider {
  readonly name: string;
  readonly limits: ProviderLimits;
  readonly #http: HttpClient;
  readonly #path: string;
  readonly #request: RequestTemplate;
  readonly #insight: InsightReader;
  readonly #response: ResponseReader;
  readonly #failures: JsonMapping['failures'];

  /** @throws {ParleyError} CONFIG_INVALID for templates that cannot work, and secrets that are not set. */
  constructor(
    mapping: JsonMapping,
    { url, ...connection }: Connection,
    env: Readonly<Record<string, string | undefined>>,
  ) {
    const { origin, pathTo, authorization } = endpointOf(url);
    this.name = mapping.name;
    this.#path = pathTo(mapping.path);
    const own = { ...(authorization !== undefined && { authorization }), ...headersOf(mapping, env) };
    this.#http = new HttpClient({ ...connection, origin, headers: { ...own, ...connection.headers } });
    this.#request = compileRequest(mapping.request.body, mapping.request.document);
    this.#insight = compileInsight(mapping.insight);
    this.#response = compileResponse(mapping.response);
    this.#failures = mapping.failures;
    this.limits = limitsOf(mapping, this.#request);
  }

  route(): string {
    return withoutQuery(this.#path);
  }

  analyze(
    documents: readonly NlpDocument[],
    receiver: Receiver<readonly DocumentResult[]>,
    cancellation?: Cancellation,
    headers?: RequestHeaders,
  ): void {
    const ids = new Map<string, number>();
    const sent = documents.map((document, index) => {
      // Two bots may have chosen the same id.
      const id = ids.has(document.id) ? `${index}#${document.id}` : document.id;
      ids.set(id, index);
      return id === document.id ? document : { id, text: document.text };
    });
    const reading = new Reading(receiver, (response: HttpResponse) => {
      if (response.status !== 200) throw this.#errorOf(response);
      return this.#read(parseJson(response.body), sent, ids);
    });
    this.#http.post(this.#path, this.#request.render(sent), reading, cancellation, headers);
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  #read(answer: unknown, documents: readonly NlpDocument[], ids: ReadonlyMap<string, number>): DocumentResult[] {
    const { results, placeOf, errors } = this.#response;
    const list = this.#request.isList ? results(answer) : [results(answer)];
    if (!Array.isArray(list)) throw garbage();
    const found = new Array<DocumentResult | undefined>(documents.length).fill(undefined);
    // Without ids or places in it, a list of another length cannot be told apart.
    if (placeOf === byOrder && list.length !== documents.length) throw garbage();
    for (const [position, result] of list.entries()) {
      const index = placeOf(result, position, ids);
      const document = index === undefined ? undefined : documents[index];
      const insight = document && this.#insight(result, answer, document.text);
      if (index !== undefined && insight) found[index] ??= { ok: true, insight };
    }
    for (const [index, error] of errors(answer, ids)) if (index < found.length) found[index] ??= { ok: false, error };
    return found.map((result) => result ?? { ok: false, error: garbage() });
  }

  #errorOf({ status, retryAfter, body }: HttpResponse): NlpError {
    const { statuses, code, codes, retry_after_s: pointer } = this.#failures;
    const answer = code === undefined && pointer === undefined ? undefined : parseJson(body);
    const named = code === undefined ? undefined : compilePointer(code)(answer);
    const waitS = pointer === undefined ? undefined : compilePointer(pointer)(answer);
    const byStatus = errorOfStatus(
      status,
      retryAfter ?? (typeof waitS === 'number' ? String(waitS) : undefined),
      Date.now(),
    );
    const failure = (typeof named === 'string' ? codes[shapeName(named)] : undefined) ?? statuses[status];
    if (failure === undefined || failure === byStatus.failure) return byStatus;
    return new NlpError(failure, byStatus.cause_code, byStatus.message, { retryAfterMs: byStatus.retryAfterMs });
  }
}

/** AWS writes `com.amazonaws.comprehend#ThrottlingException` in some answers and the bare name in others. */
const shapeName = (code: string): string => code.slice(code.lastIndexOf('#') + 1);

interface ResponseReader {
  readonly results: Pointer;
  readonly placeOf: Placer;
  readonly errors: (answer: unknown, ids: ReadonlyMap<string, number>) => [number, NlpError][];
}

function compileResponse({ results, match, errors }: JsonMapping['response']): ResponseReader {
  const reader = { results: compilePointer(results), placeOf: placer(match) };
  if (!errors) return { ...reader, errors: () => [] };
  const list = compilePointer(errors.list);
  const code = compilePointer(errors.code);
  const placeOf = placer(errors.match);
  const retryable = new Set(errors.retryable);
  return {
    ...reader,
    errors: (answer, ids) => {
      const items = list(answer);
      if (!Array.isArray(items)) return [];
      return items.flatMap((item, position): [number, NlpError][] => {
        const index = placeOf(item, position, ids);
        return index === undefined ? [] : [[index, documentError(retryable.has(String(code(item))))]];
      });
    },
  };
}

const byOrder: Placer = (_item, position) => position;

function placer(match: Match): Placer {
  if (match === 'order') return byOrder;
  if ('id' in match) {
    const id = compilePointer(match.id);
    return (item, _position, ids) => ids.get(String(id(item)));
  }
  const index = compilePointer(match.index);
  return (item) => {
    const place = Number(index(item) ?? Number.NaN);
    return Number.isInteger(place) && place >= 0 ? place : undefined;
  };
}

/** The code is the API's own, so it is neither a label of a metric nor in a message. */
function documentError(mayPass: boolean): NlpError {
  const message = 'the NLP API refused the document of a batch';
  return mayPass
    ? new NlpError('failed', 'document_failed', message)
    : new NlpError('rejected', 'document_rejected', message);
}

function headersOf(mapping: JsonMapping, env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const headers: Record<string, string> = { ...JSON_HEADERS };
  for (const [name, value] of Object.entries(mapping.headers)) {
    const secret = typeof value === 'string' ? value : env[value.env];
    const what = typeof value === 'string' ? `headers.${name}` : `the environment variable ${value.env}`;
    if (!secret || !/^[\t\x20-\x7e]+$/.test(secret)) {
      throw new ParleyError('CONFIG_INVALID', `NLP_MAPPING needs ${what}; allowed is a text of printable characters`);
    }
    headers[name.toLowerCase()] = typeof value === 'string' ? value : `${value.prefix}${secret}`;
  }
  return headers;
}

function limitsOf({ limits }: JsonMapping, request: RequestTemplate): ProviderLimits {
  if (!request.isList && limits.documents > 1) {
    throw new ParleyError(
      'CONFIG_INVALID',
      'NLP_MAPPING: limits.documents is above 1 without "$documents" in request.body',
    );
  }
  return {
    maxDocuments: limits.documents,
    maxRequestBytes: limits.bytes,
    requestOverheadBytes: request.requestOverheadBytes,
    documentOverheadBytes: request.documentOverheadBytes,
    maxTextChars: limits.text.chars,
    overlongText: limits.text.overlong,
    ...(limits.text.bytes !== undefined && { maxTextBytes: limits.text.bytes }),
    ...(limits.requests_per_s !== undefined && { requestsPerS: limits.requests_per_s }),
  };
}
