import {
  type ConfigOf,
  type Environment,
  flag,
  int,
  number,
  oneOf,
  optional,
  pairs,
  text,
  url,
} from '../../core/config.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../metrics.ts';

const PROTOCOLS = ['http/protobuf', 'http/json'] as const;

/**
 * OpenTelemetry's own variables, as far as they are interpreted here (docs/operations.md, "Traces"). Headers, time-out,
 * compression and certificates of the exporter (OTEL_EXPORTER_OTLP_*) are read by OpenTelemetry's exporter itself.
 */
export const TRACING_SPEC = {
  OTEL_EXPORTER_OTLP_ENDPOINT: optional(url({ doc: 'Where spans go, by OTLP over HTTP: to `/v1/traces` below this' })),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: optional(url({ doc: 'The same as a whole URL, taken as it is; goes before' })),
  OTEL_EXPORTER_OTLP_PROTOCOL: oneOf(PROTOCOLS, { default: 'http/protobuf', doc: 'How spans are written' }),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: optional(oneOf(PROTOCOLS, { doc: 'The same; goes before' })),
  OTEL_TRACES_EXPORTER: oneOf(['otlp', 'none'], { default: 'otlp', doc: 'none: no traces, whatever else is set' }),
  // By the specification any spelling of true, and nothing else, is true.
  OTEL_SDK_DISABLED: {
    ...flag({ default: false, doc: 'true: no traces, whatever else is set' }),
    read: (value: string) => value.toLowerCase() === 'true',
  },
  OTEL_TRACES_SAMPLER: oneOf(
    [
      'parentbased_traceidratio',
      'parentbased_always_on',
      'parentbased_always_off',
      'traceidratio',
      'always_on',
      'always_off',
    ],
    { default: 'parentbased_traceidratio', doc: 'Which messages are traced: the gateway decides, the others follow' },
  ),
  OTEL_TRACES_SAMPLER_ARG: number({ default: 0.01, min: 0, max: 1, doc: 'Share of the messages, for `…traceidratio`' }),
  OTEL_SERVICE_NAME: optional(text({ doc: '`service.name`; without it `parley-gateway`, `parley-enricher`, …' })),
  OTEL_RESOURCE_ATTRIBUTES: pairs({ default: {}, doc: 'Further attributes of the process, as `name=value,…`' }),
  OTEL_BSP_MAX_QUEUE_SIZE: int({ default: 2_048, min: 1, max: 1_000_000, doc: 'Spans that wait; more are dropped' }),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: int({ default: 512, min: 1, max: 1_000_000, doc: 'Spans of one request' }),
  OTEL_BSP_SCHEDULE_DELAY: int({ default: 5_000, min: 1, max: 600_000, doc: 'Longest wait of a span, ms' }),
  OTEL_BSP_EXPORT_TIMEOUT: int({ default: 30_000, min: 1, max: 600_000, doc: 'Longest export of a batch, ms' }),
};

export type TracingConfig = ConfigOf<typeof TRACING_SPEC>;

export interface TracingOptions {
  /** The process's, given by its `main.ts`. */
  readonly env: Environment;
  /** `gateway`, `enricher`, … */
  readonly service: string;
  readonly instance: string;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Where spans go; undefined: nowhere, so nothing is traced. */
export function endpointOf(config: TracingConfig): string | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: base, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: whole } = config;
  // By its name `always_off` asks nobody: there is nothing to follow either.
  const isOff = config.OTEL_SDK_DISABLED || config.OTEL_TRACES_EXPORTER === 'none';
  if (isOff || config.OTEL_TRACES_SAMPLER === 'always_off') return undefined;
  return whole ?? (base === undefined ? undefined : `${base}/v1/traces`);
}

/** The share of the messages with which a trace begins. */
export function ratioOf({ OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: ratio }: TracingConfig): number {
  if (sampler.endsWith('always_on')) return 1;
  return sampler.endsWith('always_off') ? 0 : ratio;
}
