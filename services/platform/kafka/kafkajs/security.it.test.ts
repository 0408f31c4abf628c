import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readConfig } from '../../../core/config.ts';
import { type BreakableStack, startBreakableStack } from '../../../local/testing/breakable-stack.ts';
import { type SecuredKafka, secureKafka } from '../../../local/testing/secured-kafka.ts';
import { KAFKA_SPEC } from '../../settings.ts';
import { testLog } from '../../testing/topic-log.ts';
import { kafkaConnection } from '../connection.ts';
import { clientOf } from './client.ts';
import { createKafka } from './kafka.ts';

/** A broker that asks who one is: every mechanism, and what is said where it is the wrong one. */
let secured: SecuredKafka;
let system: BreakableStack;
let tokens: Server;
let tokenUrl: string;

/** What the broker takes as an unsecured JSON Web Signature (RFC 7515, appendix A.5). */
const unsecured = (subject: string): string => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const nowS = Math.floor(Date.now() / 1_000);
  return `${part({ alg: 'none' })}.${part({ sub: subject, iat: nowS, exp: nowS + 3_600 })}.`;
};

beforeAll(async () => {
  secured = await secureKafka(['ann']);
  system = await startBreakableStack(() => {}, { secured: secured.listener, only: ['kafka'] });
  tokens = createServer((request, response) => {
    request.resume();
    response.writeHead(200).end(JSON.stringify({ access_token: unsecured('ann'), expires_in: 3_600 }));
  });
  await new Promise<void>((resolve) => tokens.listen(0, '127.0.0.1', resolve));
  tokenUrl = `http://127.0.0.1:${(tokens.address() as AddressInfo).port}/token`;
}, 120_000);

afterAll(async () => {
  tokens?.close();
  await system?.stop();
  await secured?.remove();
});

/** Connects an admin with these variables and asks for what every authenticated user may ask. */
async function connect(env: Record<string, string>): Promise<number> {
  const config = readConfig(KAFKA_SPEC, { KAFKA_BROKERS: secured.broker, ...env });
  const kafka = createKafka({ ...kafkaConnection(config), clientId: 'security-test', log: testLog() });
  const admin = clientOf(kafka).admin({ retry: { retries: 1 } });
  try {
    await admin.connect();
    return (await admin.describeCluster()).brokers.length;
  } finally {
    await admin.disconnect();
  }
}

const tls = () => ({ KAFKA_SSL: 'true', KAFKA_SSL_CA: secured.ca });
const user = (mechanism: string, password = secured.password('ann')) => ({
  ...tls(),
  KAFKA_SASL_MECHANISM: mechanism,
  KAFKA_SASL_USERNAME: 'ann',
  KAFKA_SASL_PASSWORD: password,
});

describe('a broker behind SASL_SSL', () => {
  it.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'])('lets a user in by %s', async (mechanism) => {
    expect(await connect(user(mechanism))).toBe(1);
  });

  it('lets a client in by a token of OAuth client credentials', async () => {
    const oauth = {
      ...tls(),
      KAFKA_SASL_MECHANISM: 'OAUTHBEARER',
      KAFKA_OAUTH_TOKEN_URL: tokenUrl,
      KAFKA_OAUTH_CLIENT_ID: 'ann',
      KAFKA_OAUTH_CLIENT_SECRET: 's3cret',
    };
    expect(await connect(oauth)).toBe(1);
  });

  it('takes a client certificate beside the user', async () => {
    const { cert, key } = secured.client;
    expect(await connect({ ...user('PLAIN'), KAFKA_SSL_CERT: cert, KAFKA_SSL_KEY: key })).toBe(1);
  });

  it.each<[string, () => Record<string, string>, RegExp]>([
    ['a wrong password', () => user('SCRAM-SHA-512', 'guessed'), /KAFKA_SASL_PASSWORD/],
    [
      'an authority that did not sign its certificate',
      () => ({ ...user('PLAIN'), KAFKA_SSL_CA: secured.client.cert }),
      /KAFKA_SSL_CA/,
    ],
  ])('says at once what to set for %s', async (_, env, remedy) => {
    await expect(connect(env())).rejects.toThrow(remedy);
  });

  it('says what may be missing to clients without TLS, or without a user', async () => {
    // Both side by side: a closed connection may be an outage, and is tried again.
    const [plain, anonymous] = await Promise.allSettled([connect({}), connect(tls())]);
    expect(plain).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining('KAFKA_SSL=true') } });
    expect(anonymous).toMatchObject({
      status: 'rejected',
      reason: { message: expect.stringContaining('KAFKA_SASL_MECHANISM') },
    });
  });
});

describe('kafkaConnection', () => {
  it.each<[Record<string, string>, string]>([
    [{ KAFKA_SASL_MECHANISM: 'PLAIN' }, 'needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD'],
    [{ KAFKA_SASL_MECHANISM: 'OAUTHBEARER' }, 'needs KAFKA_OAUTH_TOKEN_URL'],
    [{ KAFKA_SASL_USERNAME: 'ann' }, 'set KAFKA_SASL_MECHANISM too'],
    [{ KAFKA_SASL_MECHANISM: 'GSSAPI' }, 'allowed is one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER'],
  ])('refuses %j', (env, message) => {
    expect(() => kafkaConnection(readConfig(KAFKA_SPEC, env))).toThrow(message);
  });

  it('refuses an authority or half a client certificate that would have no effect', () => {
    const { cert } = secured.client;
    const read = (env: Record<string, string>) => kafkaConnection(readConfig(KAFKA_SPEC, env));
    expect(() => read({ KAFKA_SSL_CA: secured.ca })).toThrow('set KAFKA_SSL=true');
    expect(() => read({ KAFKA_SSL: 'true', KAFKA_SSL_CERT: cert })).toThrow('allowed are both or none');
  });
});
