import { ParleyError } from '../../../core/errors.ts';
import type { Tracer } from '../../../platform/tracing/tracer.ts';
import type { EnricherConfig } from '../../config.ts';
import { BearerToken } from './bearer-token.ts';
import { JsonProvider } from './json.ts';
import { readMapping } from './json-mapping.ts';
import { ParleyProvider } from './parley.ts';
import type { Connection, NlpProvider, RoutedProvider } from './provider.ts';
import { TracedProvider } from './traced.ts';

/** A connection is made within this, or the attempt's own time-out where that is shorter. */
const CONNECT_TIMEOUT_MS = 2_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws {ParleyError} CONFIG_INVALID for a mapping file that cannot be used, and credentials that are half set. */
export function connectProvider(config: EnricherConfig, env: Environment, tracer?: Tracer): NlpProvider {
  const provider = providerOf(config, env);
  return tracer ? new TracedProvider(provider, config.NLP_URL, tracer) : provider;
}

function providerOf(config: EnricherConfig, env: Environment): RoutedProvider {
  const connection = connectionOf(config);
  if (config.NLP_PROVIDER === 'parley') return new ParleyProvider(connection);
  return new JsonProvider(readMapping(config.NLP_MAPPING ?? ''), connection, env);
}

function connectionOf(config: EnricherConfig): Connection {
  if ((config.NLP_CERT === undefined) !== (config.NLP_KEY === undefined)) {
    throw invalid('NLP_CERT and NLP_KEY are not both set; allowed are both or none');
  }
  const httpProxy = config.HTTP_PROXY ?? config.http_proxy;
  const httpsProxy = config.HTTPS_PROXY ?? config.https_proxy;
  const hasProxy = httpProxy !== undefined || httpsProxy !== undefined;
  return {
    url: config.NLP_URL,
    connections: config.NLP_CONNECTIONS,
    connectTimeoutMs: Math.min(config.NLP_TIMEOUT_MS, CONNECT_TIMEOUT_MS),
    headers: headersOf(config),
    token: tokenOf(config),
    tls: { ca: config.NLP_CA, cert: config.NLP_CERT, key: config.NLP_KEY },
    proxy: hasProxy ? { httpProxy, httpsProxy, noProxy: config.NO_PROXY ?? config.no_proxy } : undefined,
  };
}

const NAME = /^[!#$%&'*+.^_`|~\w-]+$/;
const VALUE = /^[\t\x20-\x7e]+$/;

function headersOf({ NLP_HEADERS: pairs = {}, NLP_TOKEN: token }: EnricherConfig): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(pairs)) {
    if (!NAME.test(name) || !VALUE.test(value)) {
      throw invalid(
        'NLP_HEADERS holds a header that cannot be sent; allowed are names of letters, digits and -, and printable values',
      );
    }
    headers[name.toLowerCase()] = value;
  }
  if (token === undefined) return headers;
  if (!VALUE.test(token)) throw invalid('NLP_TOKEN is set to a secret; allowed is a text of printable characters');
  return { ...headers, authorization: `Bearer ${token}` };
}

function tokenOf(config: EnricherConfig): BearerToken | undefined {
  const {
    NLP_OAUTH_TOKEN_URL: tokenUrl,
    NLP_OAUTH_CLIENT_ID: clientId,
    NLP_OAUTH_CLIENT_SECRET: clientSecret,
    NLP_OAUTH_SCOPE: scope,
  } = config;
  if (tokenUrl === undefined && clientId === undefined && clientSecret === undefined) return undefined;
  if (tokenUrl === undefined || clientId === undefined || clientSecret === undefined) {
    throw invalid(
      'NLP_OAUTH_TOKEN_URL, NLP_OAUTH_CLIENT_ID and NLP_OAUTH_CLIENT_SECRET are not all set; allowed are all or none',
    );
  }
  if (config.NLP_TOKEN !== undefined) {
    throw invalid('NLP_TOKEN and NLP_OAUTH_TOKEN_URL are both set; allowed is one of them');
  }
  return new BearerToken({ tokenUrl, clientId, clientSecret, ...(scope !== undefined && { scope }) });
}

const invalid = (problem: string): ParleyError => new ParleyError('CONFIG_INVALID', problem);
