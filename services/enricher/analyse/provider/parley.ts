import { Reading, type Receiver } from '../callbacks.ts';
import type { Cancellation } from '../cancellation.ts';
import { errorOfBatchStatus, errorOfStatus, garbage, NlpError } from '../nlp-errors.ts';
import { endpointOf, JSON_HEADERS, withoutQuery } from './endpoint.ts';
import { HttpClient, type HttpResponse } from './http-client.ts';
import { asObject, insightOf, parseJson } from './nlp-response.ts';
import type {
  Connection,
  DocumentResult,
  NlpDocument,
  ProviderLimits,
  RequestHeaders,
  RoutedProvider,
} from './provider.ts';

/** As the contract says (`schemas/nlp-api.openapi.yaml`). */
const LIMITS: ProviderLimits = {
  maxDocuments: 25,
  maxRequestBytes: 2_547_712,
  requestOverheadBytes: 32,
  // `{"id":"","text":""},`, and a few for an id that had to be made unique.
  documentOverheadBytes: 32,
  maxTextChars: 16_384,
  overlongText: 'reject',
};

/** Codes of the contract for a document that will be refused again. All others may pass. */
const REJECTED = new Set(['invalid_field', 'rejected', 'text_too_long']);
const THROTTLED = new Set(['rate_limited', 'overloaded']);

/** The API of `schemas/nlp-api.openapi.yaml`: `POST /v1/analyze` and `POST /v1/analyze:batch`. */
export class ParleyProvider implements RoutedProvider {
  readonly name = 'parley';
  readonly limits = LIMITS;
  readonly #http: HttpClient;
  readonly #path: string;
  readonly #batchPath: string;

  constructor({ url, ...connection }: Connection) {
    const { origin, pathTo, authorization } = endpointOf(url);
    this.#path = pathTo('/v1/analyze');
    this.#batchPath = pathTo('/v1/analyze:batch');
    const headers = { ...JSON_HEADERS, ...(authorization !== undefined && { authorization }), ...connection.headers };
    this.#http = new HttpClient({ ...connection, origin, headers });
  }

  route(documents: number): string {
    return withoutQuery(documents > 1 ? this.#batchPath : this.#path);
  }

  analyze(
    documents: readonly NlpDocument[],
    receiver: Receiver<readonly DocumentResult[]>,
    cancellation?: Cancellation,
    headers?: RequestHeaders,
  ): void {
    const [document] = documents;
    if (documents.length > 1 || !document) {
      this.#batch(documents, receiver, cancellation, headers);
      return;
    }
    const { id, text } = document;
    const reading = new Reading(receiver, (response: HttpResponse) => [resultOf(response, id)]);
    this.#http.post(this.#path, JSON.stringify({ id, text }), reading, cancellation, headers);
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  #batch(
    documents: readonly NlpDocument[],
    receiver: Receiver<readonly DocumentResult[]>,
    cancellation: Cancellation | undefined,
    headers: RequestHeaders | undefined,
  ): void {
    const places = new Map<string, number>();
    const sent = documents.map(({ id, text }, index) => {
      const unique = places.has(id) ? freeId(places, index) : id;
      places.set(unique, index);
      return { id: unique, text };
    });
    const body = JSON.stringify({ documents: sent });
    const reading = new Reading(receiver, (response: HttpResponse) => resultsOf(response, places));
    this.#http.post(this.#batchPath, body, reading, cancellation, headers);
  }
}

function resultOf({ status, retryAfter, body }: HttpResponse, id: string): DocumentResult {
  if (status !== 200) throw errorOfStatus(status, retryAfter, Date.now());
  const result = asObject(parseJson(body));
  const insight = result?.['id'] === id ? insightOf(result) : undefined;
  if (!insight) throw garbage();
  return { ok: true, insight };
}

/** Two bots may have chosen the same id. */
function freeId(taken: ReadonlyMap<string, number>, index: number): string {
  let id = `#${index}`;
  while (taken.has(id)) id = `#${id}`;
  return id;
}

function resultsOf(response: HttpResponse, places: ReadonlyMap<string, number>): readonly DocumentResult[] {
  if (response.status !== 200) throw errorOfBatchStatus(response.status, response.retryAfter, Date.now());
  const answer = asObject(parseJson(response.body));
  const { results, errors = [] } = answer ?? {};
  if (!Array.isArray(results) || !Array.isArray(errors)) throw garbage();
  const found = new Array<DocumentResult | undefined>(places.size).fill(undefined);
  for (const each of results) {
    const result = asObject(each);
    const index = places.get(result?.['id'] as string);
    const insight = result && index !== undefined ? insightOf(result) : undefined;
    if (index !== undefined && insight) found[index] ??= { ok: true, insight };
  }
  for (const each of errors) {
    const error = asObject(each);
    const index = places.get(error?.['id'] as string);
    if (index !== undefined) found[index] ??= { ok: false, error: documentError(error?.['code']) };
  }
  // One that is not spoken of is tried again, alone.
  return found.map((result) => result ?? { ok: false, error: garbage() });
}

function documentError(code: unknown): NlpError {
  const known = typeof code === 'string' && (REJECTED.has(code) || THROTTLED.has(code) || code === 'analysis_failed');
  const name = known ? code : 'other';
  const failure = REJECTED.has(name) ? 'rejected' : THROTTLED.has(name) ? 'throttled' : 'failed';
  return new NlpError(failure, `document_${name}`, `the NLP API refused the document of a batch: ${name}`);
}
