import { hostname } from 'node:os';
import * as otel from '@opentelemetry/api';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { AlwaysOnSampler, BatchSpanProcessor } from '@opentelemetry/sdk-trace';
import { VERSION } from '../../core/package-info.ts';
import { within } from '../../core/within.ts';
import type { TracingConfig, TracingOptions } from './config.ts';
import { SpanDelivery } from './span-delivery.ts';
import type { SpanContext } from './trace-context.ts';
import type { Attributes, Span, SpanOptions, Tracer } from './tracer.ts';

/** A drain waits no longer for the collector. */
const CLOSE_MS = 2_000;

const KINDS = {
  producer: otel.SpanKind.PRODUCER,
  consumer: otel.SpanKind.CONSUMER,
  client: otel.SpanKind.CLIENT,
} as const;

interface SdkOptions extends Omit<TracingOptions, 'env'> {
  readonly config: TracingConfig;
  readonly endpoint: string;
  readonly ratio: number;
}

/**
 * OpenTelemetry's SDK, and the only place that touches it; loaded only where traces are on. Sampling is done before: a span
 * is started for a sampled message alone, so that the others cost nothing here. Metrics and logs stay where they are.
 */
export function startSdk({ config, service, instance, log, metrics, endpoint, ratio }: SdkOptions): Tracer {
  const maxQueueSize = config.OTEL_BSP_MAX_QUEUE_SIZE;
  const delivery = new SpanDelivery({ maxQueueSize, collector: new URL(endpoint).origin, log, metrics });
  const queue = new BatchSpanProcessor({
    exporter: delivery.watch(exporterOf(config, endpoint)),
    maxQueueSize,
    maxExportBatchSize: Math.min(config.OTEL_BSP_MAX_EXPORT_BATCH_SIZE, maxQueueSize),
    scheduledDelayMillis: config.OTEL_BSP_SCHEDULE_DELAY,
    exportTimeoutMillis: config.OTEL_BSP_EXPORT_TIMEOUT,
  });
  const sdk = new NodeSDK({
    resource: resourceFromAttributes({
      'service.name': `parley-${service}`,
      'service.version': VERSION,
      'service.instance.id': instance,
      'host.name': hostname(),
      'process.pid': process.pid,
      ...config.OTEL_RESOURCE_ATTRIBUTES,
      ...(config.OTEL_SERVICE_NAME !== undefined && { 'service.name': config.OTEL_SERVICE_NAME }),
    }),
    // All of it was read by our own configuration.
    autoDetectResources: false,
    sampler: new AlwaysOnSampler(),
    spanProcessors: [delivery.guard(queue)],
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [],
    textMapPropagator: null,
  });
  sdk.start();
  const tracer = otel.trace.getTracer('parley', VERSION);
  return {
    draws: () => Math.random() < ratio,
    start: (name, options) => new SdkSpan(tracer, name, options),
    close: async () => {
      await within(CLOSE_MS, sdk.shutdown(), () => undefined).catch(() => undefined);
      // What it registered is global, and would stand in the way of another one.
      otel.trace.disable();
      otel.context.disable();
    },
  };
}

function exporterOf(config: TracingConfig, url: string) {
  const protocol = config.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? config.OTEL_EXPORTER_OTLP_PROTOCOL;
  return protocol === 'http/json' ? new JsonExporter({ url }) : new ProtobufExporter({ url });
}

const foreign = ({ traceId, spanId, traceState }: SpanContext): otel.SpanContext => ({
  traceId,
  spanId,
  traceFlags: otel.TraceFlags.SAMPLED,
  isRemote: true,
  ...(traceState !== undefined && { traceState: otel.createTraceState(traceState) }),
});

class SdkSpan implements Span {
  readonly context: SpanContext;
  readonly #span: otel.Span;

  constructor(tracer: otel.Tracer, name: string, { kind, parent, attributes, startedAt }: SpanOptions) {
    // Contexts are handed on as values: what is ambient is lost between two turns of the event loop.
    const context = parent ? otel.trace.setSpanContext(otel.ROOT_CONTEXT, foreign(parent)) : otel.ROOT_CONTEXT;
    const options = { kind: KINDS[kind], attributes, ...(startedAt !== undefined && { startTime: startedAt }) };
    this.#span = tracer.startSpan(name, options, context);
    const { traceId, spanId } = this.#span.spanContext();
    this.context = { traceId, spanId, traceState: parent?.traceState };
  }

  set(attributes: Attributes): void {
    this.#span.setAttributes(attributes);
  }

  event(name: string, attributes?: Attributes): void {
    this.#span.addEvent(name, attributes);
  }

  link(context: SpanContext): void {
    this.#span.addLink({ context: foreign(context) });
  }

  fail(type: string): void {
    this.#span.setAttribute('error.type', type);
    this.#span.setStatus({ code: otel.SpanStatusCode.ERROR });
  }

  end(): void {
    this.#span.end();
  }
}
