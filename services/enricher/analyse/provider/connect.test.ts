import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import {
  createServer as createHttp,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import { generate } from 'selfsigned';
import { analysisOf } from '../../../platform/testing/scripted-nlp.ts';
import { readEnricherConfig } from '../../config.ts';
import { resultsOf } from '../testing/results.ts';
import { connectProvider } from './connect.ts';
import type { NlpProvider } from './provider.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const SECRET = 's3cr3t-of-the-api';

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

interface Seen {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly tenant: string | string[] | undefined;
  /** Common name of the client's certificate. */
  readonly client: string | undefined;
}

/** An NLP API that notes how it was asked; `status` says what it answers. */
function apiOf(seen: Seen[], status: (authorization: string | undefined) => number = () => 200): RequestListener {
  return async (request: IncomingMessage, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { authorization, 'x-tenant': tenant } = request.headers;
    const certificate = (request.socket as Partial<TLSSocket>).getPeerCertificate?.();
    const client = certificate?.subject?.CN;
    seen.push({
      path: request.url ?? '',
      authorization,
      tenant,
      client: client === undefined ? undefined : String(client),
    });
    response.writeHead(status(authorization), { 'content-type': 'application/json' });
    response.end(JSON.stringify(analysisOf(JSON.parse(body))));
  };
}

function connect(env: Record<string, string>): NlpProvider {
  const provider = connectProvider(readEnricherConfig(env), env);
  closing.push(() => provider.close());
  return provider;
}

const ask = (provider: NlpProvider) => resultsOf(provider, [{ id: 'm', text: 'hello' }]);

describe('the credentials of an NLP API', () => {
  it('are headers, a bearer token and the query of its URL, in every request', async () => {
    const seen: Seen[] = [];
    const port = await listen(createHttp(apiOf(seen)));
    const provider = connect({
      NLP_URL: `http://127.0.0.1:${port}/base/?api-version=2&key=${SECRET}`,
      NLP_HEADERS: 'X-Tenant=acme%2C%20inc',
      NLP_TOKEN: SECRET,
    });
    await ask(provider);
    const path = `/base/v1/analyze?api-version=2&key=${SECRET}`;
    expect(seen).toEqual([{ path, authorization: `Bearer ${SECRET}`, tenant: 'acme, inc', client: undefined }]);
  });

  it('may be user and password in the URL, and a secret in a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-nlp-'));
    closing.push(() => rm(folder, { recursive: true }));
    const seen: Seen[] = [];
    const port = await listen(createHttp(apiOf(seen)));
    await writeFile(join(folder, 'url'), `http://user:p%40ss@127.0.0.1:${port}\n`);
    await ask(connect({ NLP_URL_FILE: join(folder, 'url') }));
    expect(seen[0]?.authorization).toBe(`Basic ${Buffer.from('user:p@ss').toString('base64')}`);
  });

  it('go to an API that a mapping file describes as well, whose own query they join', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-nlp-'));
    closing.push(() => rm(folder, { recursive: true }));
    const seen: Seen[] = [];
    const port = await listen(createHttp(apiOf(seen)));
    const mapping = {
      name: 'own',
      path: '/analyze?lang=en',
      request: { body: { id: '$id', text: '$text' } },
      response: { results: '' },
      limits: { documents: 1, bytes: 10_000, text: { chars: 100, overlong: 'reject' } },
      insight: { model: { at: '/model' } },
    };
    await writeFile(join(folder, 'mapping.json'), JSON.stringify(mapping));
    const provider = connect({
      NLP_URL: `http://127.0.0.1:${port}?key=k`,
      NLP_PROVIDER: 'json',
      NLP_MAPPING: join(folder, 'mapping.json'),
      NLP_TOKEN: SECRET,
    });
    expect(await ask(provider)).toMatchObject([{ ok: true, insight: { model: 'scripted/1' } }]);
    expect(seen).toMatchObject([{ path: '/analyze?lang=en&key=k', authorization: `Bearer ${SECRET}` }]);
  });

  it('are tokens of an OAuth endpoint, kept while they are good and renewed when one is refused', async () => {
    let issued = 0;
    const tokens = await listen(
      createHttp((_, response) =>
        response.end(JSON.stringify({ access_token: `token-${++issued}`, token_type: 'bearer', expires_in: 3_600 })),
      ),
    );
    const seen: Seen[] = [];
    const revoked = new Set<string>();
    const port = await listen(createHttp(apiOf(seen, (token = '') => (revoked.has(token) ? 401 : 200))));
    const provider = connect({
      NLP_URL: `http://127.0.0.1:${port}`,
      NLP_OAUTH_TOKEN_URL: `http://127.0.0.1:${tokens}/token`,
      NLP_OAUTH_CLIENT_ID: 'parley',
      NLP_OAUTH_CLIENT_SECRET: SECRET,
    });
    await ask(provider);
    await ask(provider);
    revoked.add('Bearer token-1');
    await expect(ask(provider)).rejects.toMatchObject({ failure: 'misconfigured', cause_code: 'http_401' });
    await ask(provider);
    expect(seen.map(({ authorization }) => authorization)).toEqual(
      [1, 1, 1, 2].map((token) => `Bearer token-${token}`),
    );
  });

  it('leave a message waiting where no token is to be had, and are in no error', async () => {
    const tokens = await listen(createHttp((_, response) => response.writeHead(401).end('{"error":"invalid_client"}')));
    const env = {
      NLP_URL: `http://user:${SECRET}@127.0.0.1:9`,
      NLP_OAUTH_TOKEN_URL: `http://127.0.0.1:${tokens}/token`,
      NLP_OAUTH_CLIENT_ID: 'parley',
      NLP_OAUTH_CLIENT_SECRET: SECRET,
    };
    const error = await ask(connect(env)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ failure: 'misconfigured', cause_code: 'token' });
    expect(String(error)).toContain('invalid_client');
    const { NLP_URL } = env;
    const unreachable = await ask(connect({ NLP_URL })).catch((reason: unknown) => reason);
    expect(unreachable).toMatchObject({ failure: 'failed', cause_code: 'connection' });
    for (const each of [error, unreachable]) expect(JSON.stringify(each) + String(each)).not.toContain(SECRET);
  });

  it.each([
    [{ NLP_TOKEN: `${SECRET}\n` }, 'NLP_TOKEN'],
    [{ NLP_HEADERS: `a b=${SECRET}` }, 'NLP_HEADERS'],
    [{ NLP_URL: `ftp://${SECRET}` }, 'NLP_URL'],
    [{ NLP_OAUTH_CLIENT_SECRET: SECRET }, 'NLP_OAUTH_TOKEN_URL'],
    [{ NLP_CERT: SECRET }, 'NLP_CERT'],
    [{ NLP_KEY: `-----BEGIN KEY-----\n${SECRET}\n-----END KEY-----` }, 'NLP_CERT'],
  ])('stop the service where they cannot be used, without being named: %#', (env, name) => {
    let message = '';
    try {
      connect(env as unknown as Record<string, string>);
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain(name);
    expect(message).not.toContain(SECRET);
  });
});

/** An authority with a server's and a client's certificate. */
async function certificates() {
  const common = { keyType: 'ec', algorithm: 'sha256' } as const;
  const name = (value: string) => [{ name: 'commonName', value }];
  const ca = await generate(name('Parley test authority'), {
    ...common,
    extensions: [{ name: 'basicConstraints', cA: true, critical: true }],
  });
  const by = { cert: ca.cert, key: ca.private };
  const altNames = [{ type: 7 as const, ip: '127.0.0.1' }];
  const extensions = [{ name: 'subjectAltName' as const, altNames }];
  const server = await generate(name('127.0.0.1'), { ...common, ca: by, extensions });
  const client = await generate(name('enricher'), { ...common, ca: by });
  return { ca: ca.cert, server, client };
}

describe('an NLP API behind TLS and a proxy', () => {
  it('is asked with the client’s certificate, and trusted by the authority that is given', async () => {
    const { ca, server, client } = await certificates();
    const seen: Seen[] = [];
    const tls = { key: server.private, cert: server.cert, ca, requestCert: true, rejectUnauthorized: true };
    const port = await listen(createHttps(tls, apiOf(seen)) as unknown as Server);
    const url = { NLP_URL: `https://127.0.0.1:${port}` };
    await expect(ask(connect(url))).rejects.toMatchObject({ cause_code: 'connection' });
    await ask(connect({ ...url, NLP_CA: ca, NLP_CERT: client.cert, NLP_KEY: client.private }));
    expect(seen.map((each) => each.client)).toEqual(['enricher']);
  });

  it.each(['http', 'https'] as const)('is reached over %s by the proxy that the environment names', async (scheme) => {
    const { ca, server } = await certificates();
    const seen: Seen[] = [];
    const listener = apiOf(seen);
    const api =
      scheme === 'http' ? createHttp(listener) : createHttps({ key: server.private, cert: server.cert }, listener);
    const port = await listen(api as Server);
    const passed: string[] = [];
    const proxy = createHttp((request, response) => {
      passed.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`);
      const { method, headers, url = '' } = request;
      request.pipe(httpRequest(url, { method, headers }, (answer) => answer.pipe(response.writeHead(200))));
    });
    proxy.on('connect', (request, socket) => {
      passed.push(`CONNECT ${request.url} ${request.headers['proxy-authorization']}`);
      const [host = '', to] = String(request.url).split(':');
      const upstream = connectTcp(Number(to), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      for (const each of [upstream, socket]) each.on('error', () => each.destroy());
    });
    const at = `http://user:${SECRET}@127.0.0.1:${await listen(proxy)}`;
    const env = {
      NLP_URL: `${scheme}://127.0.0.1:${port}`,
      NLP_CA: ca,
      HTTP_PROXY: at,
      https_proxy: at,
      NLP_TOKEN: 't',
    };
    const provider = connect(env);
    await ask(provider);
    await ask(provider);
    const basic = `Basic ${Buffer.from(`user:${SECRET}`).toString('base64')}`;
    const plain = `POST http://127.0.0.1:${port}/v1/analyze ${basic}`;
    // A tunnel is kept for the next request.
    expect(passed).toEqual(scheme === 'http' ? [plain, plain] : [`CONNECT 127.0.0.1:${port} ${basic}`]);
    await ask(connect({ ...env, NO_PROXY: 'other.example, 127.0.0.1' }));
    expect(passed).toHaveLength(scheme === 'http' ? 2 : 1);
    expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer t', 'Bearer t', 'Bearer t']);
  });
});
