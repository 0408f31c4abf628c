import { endpointOf, ratioOf, type TracingOptions } from './config.ts';
import type { Tracer } from './tracer.ts';

/** Undefined unless an endpoint is configured: then nothing of OpenTelemetry is even loaded. */
export async function startTracing(options: TracingOptions): Promise<Tracer | undefined> {
  const endpoint = endpointOf(options.config);
  if (endpoint === undefined) return undefined;
  const { startSdk } = await import('./sdk.ts');
  const ratio = ratioOf(options.config);
  const { origin } = new URL(endpoint);
  options.log.info({ endpoint: origin, sampler: options.config.OTEL_TRACES_SAMPLER, ratio }, 'messages are traced');
  return startSdk({ ...options, endpoint, ratio });
}
