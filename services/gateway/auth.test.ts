import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, importSPKI } from 'jose';
import { createAuthenticator } from './auth.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';
import { TokenMaker, unsecured, unsigned } from './testing/tokens.ts';

const options = { issuer: 'parley-local', audience: 'parley', leewayS: 5, jwksUrl: undefined };

let maker: TokenMaker;
beforeAll(async () => {
  maker = await TokenMaker.create();
});

const authenticator = (publicKeyPem: string) => createAuthenticator({ ...options, publicKeyPem });

async function codeFor(token: string, publicKeyPem = maker.publicKeyPem): Promise<string> {
  try {
    await authenticator(publicKeyPem)(token);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof HandshakeRefusal)) throw error;
    expect(`${error.message} ${error.detail}`).not.toContain(token.slice(-20));
    return error.code;
  }
}

describe('createAuthenticator', () => {
  it.each(['EdDSA', 'ES256', 'RS256'])('accepts %s and gives the claims', async (algorithm) => {
    const signer = await TokenMaker.create(algorithm);
    const grant = await authenticator(signer.publicKeyPem)(
      await signer.sign({ tenant: 't', bot: 'b', expiresInS: 60 }),
    );
    expect(grant).toMatchObject({ tenant: 't', bot: 'b' });
    expect(grant.expiresAtS).toBeGreaterThan(Date.now() / 1_000);
  });

  it('refuses what is not to be believed', async () => {
    const stranger = await TokenMaker.create();
    const rsa = await TokenMaker.create('RS256');
    const shared = new TextEncoder().encode(maker.publicKeyPem);
    const hmac = await unsigned().setProtectedHeader({ alg: 'HS256' }).sign(shared);
    const pss = await TokenMaker.create('PS256');
    const good = await maker.sign();
    expect(await codeFor(good)).toBe('accepted');
    expect(await codeFor(await stranger.sign())).toBe('token_invalid');
    expect(await codeFor(await rsa.sign())).toBe('token_invalid');
    expect(await codeFor(await pss.sign(), pss.publicKeyPem)).toBe('token_invalid');
    expect(await codeFor(hmac)).toBe('token_invalid');
    expect(await codeFor(unsecured())).toBe('token_invalid');
    expect(await codeFor(`${good.slice(0, -8)}AAAAAAAA`)).toBe('token_invalid');
    expect(await codeFor('not a token')).toBe('token_invalid');
    const [header, , signature] = good.split('.');
    const forged = Buffer.from('{"sub":"x","tenant":"rival","roles":["bot"]}').toString('base64url');
    expect(await codeFor(`${header}.${forged}.${signature}`)).toBe('token_invalid');
  });

  it('requires audience, issuer, expiry, bot, tenant and role', async () => {
    expect(await codeFor(await maker.sign({ audience: 'other' }))).toBe('token_invalid');
    expect(await codeFor(await maker.sign({ issuer: 'other' }))).toBe('token_invalid');
    expect(await codeFor(await maker.sign({ expiresInS: null }))).toBe('token_invalid');
    expect(await codeFor(await maker.sign({ bot: '' }))).toBe('token_invalid');
    expect(await codeFor(await maker.sign({ tenant: '' }))).toBe('token_invalid');
    expect(await codeFor(await maker.sign({ tenant: 'a\0b' }))).toBe('token_invalid');
    expect(await codeFor(await maker.sign({ tenant: 'x'.repeat(129) }))).toBe('token_invalid');
    expect(await codeFor(await maker.sign({ roles: ['analyst', 'sre'] }))).toBe('role_missing');
    expect(await codeFor(await maker.sign({ roles: [] }))).toBe('role_missing');
  });

  it('allows the leeway after the expiry and nothing more', async () => {
    expect(await codeFor(await maker.sign({ expiresInS: -2 }))).toBe('accepted');
    expect(await codeFor(await maker.sign({ expiresInS: -30 }))).toBe('token_expired');
  });

  it('wants exactly one usable source of keys', async () => {
    const withKeys = (keys: { publicKeyPem?: string; jwksUrl?: string }) => () =>
      createAuthenticator({ ...options, publicKeyPem: keys.publicKeyPem, jwksUrl: keys.jwksUrl });
    const jwksUrl = 'https://keys.example.com';
    expect(withKeys({})).toThrow(/neither is set; allowed is exactly one/);
    expect(withKeys({ publicKeyPem: maker.publicKeyPem, jwksUrl })).toThrow(/both is set/);
    expect(withKeys({ publicKeyPem: 'abc' })).toThrow(/no public key in PEM/);
    expect(withKeys({ publicKeyPem: '-----BEGIN PRIVATE KEY-----' })).toThrow(/holds a private key/);
    const wrongCurve = await TokenMaker.create('ES384');
    expect(withKeys({ publicKeyPem: wrongCurve.publicKeyPem })).toThrow(/allowed are RSA, EC on P-256 and Ed25519/);
    expect(withKeys({ publicKeyPem: maker.publicKeyPem.replaceAll('\n', '\\n') })).not.toThrow();
  });
});

describe('with JWKS_URL', () => {
  let status = 200;
  const server = createServer(async (_, response) => {
    const jwk = await exportJWK(await importSPKI(maker.publicKeyPem, 'EdDSA', { extractable: true }));
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [jwk] }));
  });
  let jwksUrl: string;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('takes the keys from there, refuses others, and tells an outage from a bad token', async () => {
    const authenticate = createAuthenticator({ ...options, publicKeyPem: undefined, jwksUrl });
    expect(await authenticate(await maker.sign({ bot: 'b' }))).toMatchObject({ bot: 'b' });
    const stranger = await TokenMaker.create();
    await expect(authenticate(await stranger.sign())).rejects.toMatchObject({ code: 'token_invalid' });
    const rsa = await TokenMaker.create('RS256');
    await expect(authenticate(await rsa.sign())).rejects.toMatchObject({ code: 'token_invalid' });
    await expect(authenticate(unsecured())).rejects.toMatchObject({ code: 'token_invalid' });
    status = 500;
    const other = createAuthenticator({ ...options, publicKeyPem: undefined, jwksUrl });
    await expect(other(await maker.sign())).rejects.toMatchObject({ code: 'keys_unavailable', status: 503 });
  });

  it('answers an unreachable key server with 503 too', async () => {
    const authenticate = createAuthenticator({ ...options, publicKeyPem: undefined, jwksUrl: 'http://127.0.0.1:1/' });
    await expect(authenticate(await maker.sign())).rejects.toMatchObject({ code: 'keys_unavailable' });
  });
});
