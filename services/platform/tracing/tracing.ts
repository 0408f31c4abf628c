import { readLeniently } from '../../core/config.ts';
import { endpointOf, ratioOf, TRACING_SPEC, type TracingOptions } from './config.ts';
import type { Tracer } from './tracer.ts';

/**
 * Undefined unless an endpoint is configured: then nothing of OpenTelemetry is even loaded. Clusters inject OTEL_* into
 * every process, so that a value which is unknown here warns and is left out, as the specification asks.
 */
export async function startTracing(options: TracingOptions): Promise<Tracer | undefined> {
  const { env, log } = options;
  const config = readLeniently(TRACING_SPEC, env, (problem) => log.warn(problem));
  const endpoint = endpointOf(config);
  if (endpoint === undefined) return undefined;
  const { startSdk } = await import('./sdk.ts');
  const ratio = ratioOf(config);
  const { origin } = new URL(endpoint);
  log.info({ endpoint: origin, sampler: config.OTEL_TRACES_SAMPLER, ratio }, 'messages are traced');
  return startSdk({ ...options, config, endpoint, ratio });
}
