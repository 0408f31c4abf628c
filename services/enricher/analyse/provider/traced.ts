import { traceHeaders } from '../../../platform/tracing/trace-context.ts';
import type { Span, Tracer } from '../../../platform/tracing/tracer.ts';
import type { Receiver } from '../callbacks.ts';
import { type Cancellation, SUPERSEDED } from '../cancellation.ts';
import { NlpError } from '../nlp-errors.ts';
import type { DocumentResult, NlpDocument, NlpProvider, RoutedProvider } from './provider.ts';

/**
 * A span for each request that a traced message takes part in; an NLP API that traces as well finds it in `traceparent`.
 * The span of a batch stands in the trace of its first traced message and has links to the others, which link back.
 */
export class TracedProvider implements NlpProvider {
  readonly name: string;
  readonly limits;
  readonly #provider: RoutedProvider;
  readonly #tracer: Tracer;
  readonly #server;
  /** Requests made with the same documents: further ones are retries and hedges. */
  readonly #requests = new WeakMap<readonly NlpDocument[], number>();

  constructor(provider: RoutedProvider, url: string, tracer: Tracer) {
    const { hostname, port, protocol } = new URL(url);
    this.name = provider.name;
    this.limits = provider.limits;
    this.#provider = provider;
    this.#tracer = tracer;
    const usual = protocol === 'https:' ? 443 : 80;
    this.#server = { 'server.address': hostname, 'server.port': port === '' ? usual : Number(port) };
  }

  analyze(
    documents: readonly NlpDocument[],
    receiver: Receiver<readonly DocumentResult[]>,
    cancellation?: Cancellation,
  ): void {
    let first: Span | undefined;
    for (const document of documents) {
      first = document.span;
      if (first) break;
    }
    if (!first) {
      this.#provider.analyze(documents, receiver, cancellation);
      return;
    }
    const span = this.#begin(first, documents);
    const traced: Receiver<readonly DocumentResult[]> = {
      received: (results) => {
        span.set({ 'http.response.status_code': 200 });
        const [only] = results;
        if (results.length === 1 && only && !only.ok) span.fail(only.error.cause_code);
        span.end();
        receiver.received(results);
      },
      failed: (error) => {
        end(span, error, cancellation);
        receiver.failed(error);
      },
    };
    this.#provider.analyze(documents, traced, cancellation, traceHeaders(span.context));
  }

  close(): Promise<void> {
    return this.#provider.close();
  }

  /** A request is made as soon as there is a permit for it. */
  #begin(first: Span, documents: readonly NlpDocument[]): Span {
    const before = this.#requests.get(documents) ?? 0;
    this.#requests.set(documents, before + 1);
    const route = this.#provider.route(documents.length);
    const span = this.#tracer.start(`POST ${route}`, {
      kind: 'client',
      parent: first.context,
      attributes: {
        ...this.#server,
        'http.request.method': 'POST',
        'url.template': route,
        'parley.nlp.documents': documents.length,
        ...(before > 0 && { 'http.request.resend_count': before }),
      },
    });
    for (const { span: message } of documents) {
      message?.event('permit');
      if (!message || message === first) continue;
      span.link(message.context);
      message.link(span.context);
    }
    return span;
  }
}

function end(span: Span, error: unknown, cancellation: Cancellation | undefined): void {
  const code = error instanceof NlpError ? error.cause_code : 'other';
  const status = /^http_(\d{3})$/.exec(code)?.[1];
  if (status !== undefined) span.set({ 'http.response.status_code': Number(status) });
  // No failure: the other call of the hedge was quicker.
  if (cancellation?.reason === SUPERSEDED) span.set({ 'parley.nlp.superseded': true });
  else span.fail(code);
  span.end();
}
