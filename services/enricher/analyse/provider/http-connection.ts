import { Client, type Dispatcher, EnvHttpProxyAgent } from 'undici';

/** Certificates in PEM; undefined: the system's authorities, and no certificate of ours. */
export interface TlsOptions {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** Proxies as the environment names them: by the scheme of the API's URL, and the hosts that need none. */
export interface ProxyOptions {
  readonly httpProxy: string | undefined;
  readonly httpsProxy: string | undefined;
  readonly noProxy: string | undefined;
}

export interface HttpConnectionOptions {
  readonly origin: string;
  readonly connectTimeoutMs: number;
  readonly tls?: TlsOptions | undefined;
  readonly proxy?: ProxyOptions | undefined;
}

/** A response of this size is no analysis. */
const MAX_RESPONSE_BYTES = 1 << 20;
/** Below the keep-alive of any usual server (Node 5 s, nginx 75 s, AWS ALB 60 s), so that we close first. */
const KEEP_ALIVE_MS = 4_000;

/** One connection of HTTP/1.1, straight to the API or by a proxy. */
export function openConnection({ origin, connectTimeoutMs, tls, proxy }: HttpConnectionOptions): Dispatcher {
  const certificates = {
    ...(tls?.ca !== undefined && { ca: tls.ca }),
    ...(tls?.cert !== undefined && { cert: tls.cert }),
    ...(tls?.key !== undefined && { key: tls.key }),
  };
  const options = {
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: { timeout: connectTimeoutMs, ...certificates },
    headersTimeout: 0,
    bodyTimeout: 0,
    maxResponseSize: MAX_RESPONSE_BYTES,
  };
  if (!proxy) return new Client(origin, options);
  const { httpProxy = '', httpsProxy = '', noProxy = '' } = proxy;
  return new EnvHttpProxyAgent({
    ...options,
    connections: 1,
    connectTimeout: connectTimeoutMs,
    requestTls: certificates,
    // Texts, never undefined: undici would look for them in the process's environment.
    httpProxy,
    httpsProxy,
    noProxy,
  });
}
