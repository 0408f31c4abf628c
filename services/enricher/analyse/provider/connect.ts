import type { Tracer } from '../../../platform/tracing/tracer.ts';
import type { EnricherConfig } from '../../config.ts';
import { JsonProvider } from './json.ts';
import { readMapping } from './json-mapping.ts';
import { ParleyProvider } from './parley.ts';
import type { NlpProvider, RoutedProvider } from './provider.ts';
import { TracedProvider } from './traced.ts';

/** A connection is made within this, or the attempt's own time-out where that is shorter. */
const CONNECT_TIMEOUT_MS = 2_000;

type ProviderConfig = Pick<
  EnricherConfig,
  'NLP_PROVIDER' | 'NLP_MAPPING' | 'NLP_URL' | 'NLP_CONNECTIONS' | 'NLP_TIMEOUT_MS'
>;

/** @throws {ParleyError} CONFIG_INVALID for a mapping file that cannot be used. */
export function connectProvider(
  config: ProviderConfig,
  env: Readonly<Record<string, string | undefined>>,
  tracer?: Tracer,
): NlpProvider {
  const provider = providerOf(config, env);
  return tracer ? new TracedProvider(provider, config.NLP_URL, tracer) : provider;
}

function providerOf(config: ProviderConfig, env: Readonly<Record<string, string | undefined>>): RoutedProvider {
  const connection = {
    url: config.NLP_URL,
    connections: config.NLP_CONNECTIONS,
    connectTimeoutMs: Math.min(config.NLP_TIMEOUT_MS, CONNECT_TIMEOUT_MS),
  };
  if (config.NLP_PROVIDER === 'parley') return new ParleyProvider(connection);
  return new JsonProvider(readMapping(config.NLP_MAPPING ?? ''), connection, env);
}
