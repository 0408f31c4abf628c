import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { readConfig } from '../../core/config.ts';
import { isolation, stack } from '../../local/testing/stack.ts';
import { topicNames } from '../kafka/topics.ts';
import { REGISTRY_SPEC } from '../settings.ts';
import { ChatCodec } from './codec.ts';
import { openRegistry, registryAccess } from './registry-access.ts';

/** A registry that asks for credentials: a proxy before the real one, as an ingress of other people's clusters is. */
let proxy: Server;
let port: number;
let requiredAuthorization: string | undefined;
let answer: number | undefined;
const seen: { readonly method: string; readonly headers: IncomingHttpHeaders }[] = [];

beforeAll(async () => {
  const target = new URL(stack().registryUrl);
  proxy = createServer((incoming, outgoing) => {
    seen.push({ method: `${incoming.method} ${incoming.url}`, headers: incoming.headers });
    const status = answer ?? (incoming.headers.authorization === requiredAuthorization ? undefined : 401);
    if (status !== undefined) {
      outgoing.writeHead(status, { 'content-type': 'application/json' }).end('{"error_code":1,"message":"no"}');
      return;
    }
    const { host: _host, ...headers } = incoming.headers;
    const onward = request(
      { host: target.hostname, port: target.port, path: incoming.url, method: incoming.method, headers },
      (response) => {
        outgoing.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(outgoing);
      },
    );
    onward.once('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  port = (proxy.address() as AddressInfo).port;
});

afterAll(() => {
  proxy.closeAllConnections();
  proxy.close();
});

beforeEach(() => {
  requiredAuthorization = `Basic ${Buffer.from('parley:s3cret:x').toString('base64')}`;
  answer = undefined;
  seen.length = 0;
});

const path = () => new URL(stack().registryUrl).pathname;
const names = () => topicNames(isolation('registry').TOPIC_PREFIX);
const connect = (env: Record<string, string>, topics = names()) =>
  ChatCodec.connect({ registry: registryAccess(readConfig(REGISTRY_SPEC, env)), topicNames: topics });
const proxied = () => `http://127.0.0.1:${port}${path()}`;

describe('a registry that asks who it is', () => {
  it.each([
    [
      'a user in the URL',
      () => ({ SCHEMA_REGISTRY_URL: `http://parley:s3cret%3Ax@127.0.0.1:${port}${path()}` }),
      undefined,
    ],
    [
      'variables',
      () => ({
        SCHEMA_REGISTRY_URL: proxied(),
        SCHEMA_REGISTRY_USERNAME: 'parley',
        SCHEMA_REGISTRY_PASSWORD: 's3cret:x',
      }),
      undefined,
    ],
    ['a bearer token', () => ({ SCHEMA_REGISTRY_URL: proxied(), SCHEMA_REGISTRY_TOKEN: 't0ken' }), 'Bearer t0ken'],
  ])('takes %s with every request', async (_, env, authorization) => {
    requiredAuthorization = authorization ?? requiredAuthorization;
    const codec = await connect(env());
    await codec.check(AbortSignal.timeout(5_000));
    // An id that this codec did not register is asked for by a request of its own.
    const unknown = Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 0]);
    expect(await codec.decodeEvent(unknown)).toMatchObject({ ok: false, reason: 'schema_unknown' });
    expect(seen.length).toBeGreaterThanOrEqual(4);
    expect(new Set(seen.map(({ headers }) => headers.authorization))).toEqual(new Set([requiredAuthorization]));
  });

  it.each([
    [401, 'REGISTRY_REFUSED'],
    [403, 'REGISTRY_REFUSED'],
  ])('that answers %i is told apart from one that is away, and no password is printed', async (status, code) => {
    answer = status;
    const failed = await connect({ SCHEMA_REGISTRY_URL: `http://u:s3cret@127.0.0.1:${port}${path()}` }).catch(
      (error: Error) => error,
    );
    expect(failed).toMatchObject({ code, message: expect.stringContaining(`answered ${status}`) });
    expect(String((failed as Error).stack)).not.toContain('s3cret');
  });
});

describe('SCHEMA_REGISTER=false', () => {
  it('finds the schemas that are there, and writes nothing', async () => {
    const topics = names();
    await ChatCodec.connect({ registry: openRegistry(stack().registryUrl), topicNames: topics });
    requiredAuthorization = undefined;
    await connect({ SCHEMA_REGISTRY_URL: proxied(), SCHEMA_REGISTER: 'false' }, topics);
    expect(seen.map(({ method }) => method.replace(path(), ''))).toEqual([
      `POST /subjects/${topics.events}-value`,
      `POST /subjects/${topics.enriched}-value`,
    ]);
  });

  it('says which schema is not there', async () => {
    requiredAuthorization = undefined;
    const topics = names();
    await expect(connect({ SCHEMA_REGISTRY_URL: proxied(), SCHEMA_REGISTER: 'false' }, topics)).rejects.toMatchObject({
      code: 'SCHEMA_NOT_REGISTERED',
      message: expect.stringContaining(`${topics.events}-value`),
    });
  });
});

describe('registryAccess', () => {
  it.each([
    [{ SCHEMA_REGISTRY_USERNAME: 'u' }, 'belong together'],
    [{ SCHEMA_REGISTRY_TOKEN: 't', SCHEMA_REGISTRY_URL: 'http://u:p@here' }, 'allowed is one of them'],
    [{ SCHEMA_REGISTRY_URL: 'u:s3cret@here' }, 'SCHEMA_REGISTRY_URL is set to a secret'],
  ])('refuses %j', (env, message) => {
    expect(() => registryAccess(readConfig(REGISTRY_SPEC, env))).toThrow(message);
  });
});
