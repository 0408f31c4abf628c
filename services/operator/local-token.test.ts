import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader, importSPKI, jwtVerify } from 'jose';
import { ensureLocalKey, localKeyPath, signToken } from './local-token.ts';

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(`${tmpdir()}/parley-token-`);
});
afterAll(() => rm(dataDir, { recursive: true }));

describe('the embedded key and its tokens', () => {
  it('is made once, by however many at the same time, and only its owner may read it', async () => {
    const path = localKeyPath(dataDir);
    const [first, ...others] = await Promise.all([ensureLocalKey(path), ensureLocalKey(path), ensureLocalKey(path)]);
    expect(others).toEqual([first, first]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('signs what the contract asks for: sub, tenant, roles, aud, iss, exp', async () => {
    const keyPath = localKeyPath(dataDir);
    const publicKey = await importSPKI(await ensureLocalKey(keyPath), 'EdDSA');
    const token = await signToken({ tenant: 'acme', bot: 'b-1', roles: ['bot', 'sre'], ttlMs: 60_500, keyPath });
    const { payload } = await jwtVerify(token, publicKey, {
      algorithms: ['EdDSA'],
      issuer: 'parley-local',
      audience: 'parley',
      requiredClaims: ['exp', 'sub'],
    });
    expect(payload).toMatchObject({ sub: 'b-1', tenant: 'acme', roles: ['bot', 'sre'] });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(61);
    expect(decodeProtectedHeader(token).alg).toBe('EdDSA');
  });

  it('is not accepted under another key', async () => {
    const keyPath = localKeyPath(dataDir);
    await ensureLocalKey(keyPath);
    const token = await signToken({ tenant: 'acme', bot: 'b-1', roles: ['bot'], ttlMs: 60_000, keyPath });
    const { publicKey } = generateKeyPairSync('ed25519');
    await expect(jwtVerify(token, publicKey)).rejects.toThrow('signature verification failed');
    expect(decodeJwt(token).tenant).toBe('acme');
  });

  it('names the missing key', async () => {
    const request = { tenant: 'acme', bot: 'b', roles: ['bot'], ttlMs: 1_000, keyPath: `${dataDir}/none.pem` };
    await expect(signToken(request)).rejects.toMatchObject({ code: 'TOKEN_KEY_MISSING' });
  });
});
