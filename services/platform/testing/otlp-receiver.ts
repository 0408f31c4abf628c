import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { decodeTraces } from './otlp-protobuf.ts';

export interface ReceivedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty where the span begins its trace. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer' | 'unspecified';
  /** Milliseconds since the epoch, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly { readonly name: string; readonly atMs: number }[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly failed: boolean;
}

interface Pair {
  readonly key: string;
  readonly value: { stringValue?: string; boolValue?: boolean; intValue?: string | number; doubleValue?: number };
}

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Pair[];
  readonly events: readonly { readonly name: string; readonly timeUnixNano: string }[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code?: number };
}

interface OtlpTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Pair[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
const msOf = (nanos: string): number => Number(BigInt(nanos) / 1_000n) / 1_000;

const plainValue = ({ stringValue, boolValue, intValue, doubleValue }: Pair['value']) =>
  stringValue ?? boolValue ?? (intValue === undefined ? doubleValue : Number(intValue));
const recordOf = (pairs: readonly Pair[]) =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, plainValue(value)]));

/** The spans of one `ExportTraceServiceRequest`, by its content type. */
function readTraces(body: Buffer, contentType: string): ReceivedSpan[] {
  const isJson = contentType.startsWith('application/json');
  const { resourceSpans } = (isJson ? JSON.parse(body.toString('utf8')) : decodeTraces(body)) as OtlpTraces;
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(recordOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => received(service, span)));
  });
}

const received = (service: string, span: OtlpSpan): ReceivedSpan => ({
  service,
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId ?? '',
  traceState: span.traceState ?? '',
  name: span.name,
  kind: KINDS[span.kind] ?? 'unspecified',
  startMs: msOf(span.startTimeUnixNano),
  endMs: msOf(span.endTimeUnixNano),
  attributes: recordOf(span.attributes),
  events: span.events.map(({ name, timeUnixNano }) => ({ name, atMs: msOf(timeUnixNano) })),
  links: span.links.map(({ traceId, spanId }) => ({ traceId, spanId })),
  failed: span.status.code === 2,
});

/** What a collector may do with a request: take it, answer with an error, or say nothing at all. */
export type CollectorMood = 'takes' | 'refuses' | 'hangs';

/** A small OTLP/HTTP receiver: keeps every span that comes in, in protobuf or JSON, zipped or not. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** All bodies, unzipped. */
  readonly bodies: Buffer[] = [];
  mood: CollectorMood = 'takes';
  /** Requests so far, whatever became of them. */
  requests = 0;
  readonly #server: Server;
  readonly #unanswered: ServerResponse[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #onSpans: (spans: readonly ReceivedSpan[]) => void;

  private constructor(onSpans: (spans: readonly ReceivedSpan[]) => void) {
    this.#onSpans = onSpans;
    this.#server = createServer((request, response) => {
      this.#take(request, response).catch(() => response.writeHead(400).end());
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** On loopback; port 0: any free one. */
  static async listen(port = 0, onSpans: (spans: readonly ReceivedSpan[]) => void = () => {}): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver(onSpans);
    receiver.#server.listen({ host: '127.0.0.1', port });
    await once(receiver.#server, 'listening');
    return receiver;
  }

  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /**
   * Answers what it left hanging: the exporter would try again for another ten seconds. Whether somebody is still there to
   * hear it is not waited for: to a process that has ended, an answer is never finished.
   */
  async close(): Promise<void> {
    for (const response of this.#unanswered) if (!response.destroyed) response.writeHead(200).end();
    await new Promise(setImmediate);
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests++;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (this.mood === 'hangs') {
      this.#unanswered.push(response);
      return;
    }
    if (this.mood === 'refuses' || request.url !== '/v1/traces' || request.method !== 'POST') {
      response.writeHead(this.mood === 'refuses' ? 400 : 404).end();
      return;
    }
    const raw = Buffer.concat(chunks);
    const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    const spans = readTraces(body, request.headers['content-type'] ?? '');
    this.bodies.push(body);
    this.spans.push(...spans);
    this.#onSpans(spans);
    // An empty answer of either kind: everything was taken.
    const isJson = request.headers['content-type']?.startsWith('application/json');
    response.writeHead(200, { 'content-type': request.headers['content-type'] }).end(isJson ? '{}' : '');
  }
}
