import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../core/clock.ts';
import { eventually } from '../../core/testing/eventually.ts';
import { KeyServer } from '../testing/key-server.ts';
import { type TokenClaims, TokenMaker, unsecured, unsigned } from '../testing/tokens.ts';
import { createAuthenticator } from './auth.ts';
import { type ClaimNames, claimAt, readClaims } from './claims.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';

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
  it.each(['EdDSA', 'Ed25519', 'ES256', 'RS256'])('accepts %s and gives the claims', async (algorithm) => {
    const signer = await TokenMaker.create(algorithm);
    const credentials = await authenticator(signer.publicKeyPem)(
      await signer.sign({ tenant: 't', bot: 'b', expiresInS: 60 }),
    );
    expect(credentials).toMatchObject({ tenant: 't', bot: 'b' });
    expect(credentials.expiresAtS).toBeGreaterThan(Date.now() / 1_000);
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

  it('refuses a token that lives longer than is allowed, from when it was made, or else from now', async () => {
    const authenticate = createAuthenticator({ ...options, publicKeyPem: maker.publicKeyPem, maxLifeS: 3_600 });
    const codeOf = async (claims: TokenClaims) =>
      await authenticate(await maker.sign(claims)).then(
        ({ tokenId }) => tokenId ?? 'accepted',
        (error: HandshakeRefusal) => error.code,
      );
    expect(await codeOf({ expiresInS: 3_599, tokenId: 'j1' })).toBe('j1');
    expect(await codeOf({ expiresInS: 3_700 })).toBe('token_invalid');
    expect(await codeOf({ expiresInS: 600, issuedAgoS: 2_900 })).toBe('accepted');
    expect(await codeOf({ expiresInS: 600, issuedAgoS: 3_100 })).toBe('token_invalid');
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
  const MAX_AGE_MS = 300_000;
  const COOLDOWN_MS = 10_000;
  let server: KeyServer;
  let clock: ManualClock;
  let problems: string[];
  let codeOf: (signer: { sign: (claims: TokenClaims) => Promise<string> }) => Promise<string>;

  beforeEach(async () => {
    server = new KeyServer();
    clock = new ManualClock(Date.now());
    problems = [];
    const authenticate = createAuthenticator({
      ...options,
      publicKeyPem: undefined,
      jwksUrl: await server.listen(),
      jwksMaxAgeMs: MAX_AGE_MS,
      jwksCooldownMs: COOLDOWN_MS,
      clock,
      onKeyProblem: (problem) => problems.push(problem),
    });
    codeOf = async (signer) => {
      try {
        return (await authenticate(await signer.sign({ bot: 'b', expiresInS: 86_400 }))).bot;
      } catch (error) {
        return (error as HandshakeRefusal).code;
      }
    };
  });

  afterEach(() => server.stop());

  it('takes the keys from there and refuses others', async () => {
    const [first, second] = [await TokenMaker.create('ES256', 'k1'), await TokenMaker.create('RS256', 'k2')];
    server.published = [first, second];
    expect([await codeOf(first), await codeOf(second)]).toEqual(['b', 'b']);
    expect(await codeOf(await TokenMaker.create('ES256', 'k1'))).toBe('token_invalid');
    expect(await codeOf(await TokenMaker.create('ES256', 'k3'))).toBe('keys_unavailable');
    expect(await codeOf({ sign: async () => unsecured() })).toBe('token_invalid');
    expect(server.requests).toBe(1);
  });

  it('finds a new key at once, and refuses one that was withdrawn when the set has grown old', async () => {
    const [old, fresh] = [await TokenMaker.create('EdDSA', 'old'), await TokenMaker.create('EdDSA', 'new')];
    server.published = [old];
    expect(await codeOf(old)).toBe('b');
    clock.advance(COOLDOWN_MS);
    server.published = [fresh];
    expect(await codeOf(old)).toBe('b');
    expect(server.requests).toBe(1);
    expect(await codeOf(fresh)).toBe('b');
    expect([await codeOf(old), server.requests]).toEqual(['token_invalid', 2]);
    server.published = [old];
    clock.advance(MAX_AGE_MS);
    // The old set serves while the new one is fetched.
    expect(await codeOf(fresh)).toBe('b');
    await eventually(async () => expect(await codeOf(fresh)).toBe('token_invalid'));
    expect([await codeOf(old), server.requests]).toEqual(['b', 3]);
  });

  it('goes on with the keys at hand while the server is away, and says so', async () => {
    const known = await TokenMaker.create('EdDSA', 'k');
    server.published = [known];
    expect(await codeOf(known)).toBe('b');
    server.status = 500;
    for (let hours = 1; hours <= 3; hours++) {
      clock.advance(3_600_000);
      expect(await codeOf(known)).toBe('b');
      await eventually(() => expect(problems).toEqual(Array(hours).fill('it answers 500')));
    }
    server.status = 200;
    server.published = [];
    clock.advance(COOLDOWN_MS);
    await eventually(async () => expect(await codeOf(known)).toBe('token_invalid'));
  });

  it('asks once for a thousand tokens of unknown keys, and again only after the cooldown', async () => {
    server.published = [await TokenMaker.create('EdDSA', 'k')];
    const stranger = await TokenMaker.create('EdDSA', 'made-up');
    const codes = await Promise.all(Array.from({ length: 1_000 }, () => codeOf(stranger)));
    expect(new Set(codes)).toEqual(new Set(['token_invalid']));
    expect(server.requests).toBe(1);
    clock.advance(COOLDOWN_MS);
    await Promise.all(Array.from({ length: 100 }, () => codeOf(stranger)));
    expect(server.requests).toBe(2);
  });

  it('answers 503, never a final 401, for a key that was rotated within the cooldown, and takes it after that', async () => {
    const [old, fresh] = [await TokenMaker.create('RS256', 'a-1'), await TokenMaker.create('RS256', 'a-2')];
    server.published = [old];
    expect(await codeOf(old)).toBe('b');
    server.published = [fresh];
    for (let s = 0; s < 9; s++) {
      expect(await codeOf(fresh)).toBe('keys_unavailable');
      clock.advance(1_000);
    }
    clock.advance(1_000);
    expect([await codeOf(fresh), server.requests]).toEqual(['b', 2]);
  });

  it('finds a rotated key although made-up ones come all the time', async () => {
    const [old, fresh] = [await TokenMaker.create('EdDSA', 'a-1'), await TokenMaker.create('EdDSA', 'a-2')];
    server.published = [old];
    expect(await codeOf(old)).toBe('b');
    clock.advance(COOLDOWN_MS);
    const stranger = await TokenMaker.create('EdDSA', 'made-up');
    expect(await codeOf(stranger)).toBe('token_invalid');
    server.published = [fresh];
    // Known not to be there: it asks for nothing within the cooldown, and gets no hope of being there soon.
    expect([await codeOf(stranger), await codeOf(fresh)]).toEqual(['token_invalid', 'keys_unavailable']);
    clock.advance(COOLDOWN_MS);
    expect([await codeOf(stranger), await codeOf(fresh), server.requests]).toEqual(['token_invalid', 'b', 3]);
  });

  it.each([500, 302])('answers 503 for a key that is not known while the server answers %i', async (status) => {
    const [known, other] = [await TokenMaker.create('EdDSA', 'k'), await TokenMaker.create('EdDSA', 'other')];
    server.published = [known];
    expect(await codeOf(known)).toBe('b');
    server.status = status;
    clock.advance(COOLDOWN_MS);
    expect([await codeOf(other), await codeOf(known), problems]).toEqual([
      'keys_unavailable',
      'b',
      [`it answers ${status}`],
    ]);
  });

  it('tries each key that fits a token without kid, and finds a rotated one without a name', async () => {
    const signers = await Promise.all(
      ['RS256', 'RS256', 'EdDSA', 'EdDSA'].map((algorithm) => TokenMaker.create(algorithm)),
    );
    server.published = signers;
    for (const signer of signers) expect(await codeOf(signer)).toBe('b');
    const rotated = await TokenMaker.create('RS256');
    server.published = [rotated];
    expect(await codeOf(rotated)).toBe('keys_unavailable');
    clock.advance(COOLDOWN_MS);
    expect(await codeOf(rotated)).toBe('b');
    expect(await codeOf(signers[0] as TokenMaker)).toBe('keys_unavailable');
  });

  it('takes a token without kid for a stranger’s where all keys have names', async () => {
    server.published = [await TokenMaker.create('RS256', 'a'), await TokenMaker.create('RS256', 'b')];
    expect(await codeOf(await TokenMaker.create('RS256'))).toBe('token_invalid');
  });

  it.each([
    ['EdDSA', 'Ed25519'],
    ['Ed25519', 'EdDSA'],
  ])('takes a key published for %s and a token that says %s', async (published, signed) => {
    const signer = await TokenMaker.create(published, 'ed');
    server.published = [signer];
    expect(await codeOf({ sign: (claims) => signer.sign(claims, signed) })).toBe('b');
  });

  it('answers 503 while there has never been a key set', async () => {
    const maker = await TokenMaker.create('EdDSA', 'k');
    server.status = 503;
    expect(await codeOf(maker)).toBe('keys_unavailable');
    server.status = 200;
    server.published = [maker];
    expect([await codeOf(maker), server.requests]).toEqual(['keys_unavailable', 1]);
    clock.advance(COOLDOWN_MS);
    expect(await codeOf(maker)).toBe('b');
    const away = createAuthenticator({ ...options, publicKeyPem: undefined, jwksUrl: 'http://127.0.0.1:1/' });
    await expect(away(await maker.sign())).rejects.toMatchObject({ code: 'keys_unavailable', status: 503 });
  });
});

describe('the claims of other identity providers', () => {
  const shapes: [string, Partial<ClaimNames>, Record<string, unknown>][] = [
    ['roles in an object (Keycloak)', { roles: 'realm_access.roles' }, { realm_access: { roles: ['x', 'bot'] } }],
    ['roles as text', {}, { roles: 'bot' }],
    ['roles in scope', { roles: 'scope' }, { scope: 'openid bot' }],
    ['roles under a URL (Auth0)', { roles: 'https://a.example/roles' }, { 'https://a.example/roles': ['bot'] }],
    [
      'no sub, the bot in another claim',
      { bot: 'client_id' },
      { roles: ['bot'], sub: undefined, client_id: 'helpdesk' },
    ],
    ['a tenant in an object, numbered', { tenant: 'org.id' }, { roles: ['bot'], tenant: undefined, org: { id: 77 } }],
  ];

  it.each(shapes)('are read where they are: %s', (_, names, change) => {
    const payload = { sub: 'helpdesk', tenant: '77', ...change };
    expect(readClaims(payload, { bot: 'sub', tenant: 'tenant', roles: 'roles', ...names })).toEqual({
      tenant: '77',
      bot: 'helpdesk',
      importer: false,
    });
  });

  it('are named with their variable where one is missing', () => {
    const names = { bot: 'sub', tenant: 'tenant', roles: 'realm_access.roles' };
    const detailOf = (payload: Record<string, unknown>) => {
      try {
        return readClaims(payload, names);
      } catch (error) {
        return (error as HandshakeRefusal).detail;
      }
    };
    expect(detailOf({ tenant: 't' })).toMatch(/^the claim sub \(JWT_BOT_CLAIM\) is missing/);
    expect(detailOf({ sub: 'b', tenant: [] })).toMatch(/^the claim tenant \(JWT_TENANT_CLAIM\) is no usable name/);
    expect(detailOf({ sub: 'b', tenant: 't', roles: ['bot'] })).toMatch(
      /realm_access.roles \(JWT_ROLES_CLAIM\) holds no roles/,
    );
  });

  it('bind a token where they are asked for and it has them; one that cannot be understood is refused', () => {
    const names = {
      bot: 'sub',
      tenant: 'tenant',
      roles: 'roles',
      conversation: 'chat.id',
      user: 'uid',
      speaker: 'says',
    };
    const boundOf = (payload: Record<string, unknown>, asked: ClaimNames = names) =>
      readClaims({ sub: 'b', tenant: 't', roles: 'bot', ...payload }, asked).bound;
    const payload = { chat: { id: 7 }, uid: 'u', says: 'user' };
    expect(boundOf(payload)).toEqual({ conversationId: '7', userId: 'u', speaker: 'user' });
    expect(boundOf({ uid: 'u' })).toEqual({ userId: 'u' });
    expect(boundOf({})).toBeUndefined();
    expect(boundOf(payload, { bot: 'sub', tenant: 'tenant', roles: 'roles' })).toBeUndefined();
    for (const wrong of [{ says: 'robot' }, { uid: null }, { chat: { id: '' } }, { uid: ['u'] }]) {
      expect(() => boundOf({ ...payload, ...wrong })).toThrow(HandshakeRefusal);
    }
  });

  it('never come from the prototype of an object', () => {
    expect(claimAt({}, 'constructor.name')).toBeUndefined();
    expect(claimAt({ a: {} }, 'a.__proto__.x')).toBeUndefined();
  });

  it('with the role importer let history in with its times', async () => {
    const credentials = await authenticator(maker.publicKeyPem)(await maker.sign({ roles: ['importer'] }));
    expect(credentials.importer).toBe(true);
  });
});
