import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SignJWT } from 'jose';
import { ParleyError } from '../core/errors.ts';

export const LOCAL_ISSUER = 'parley-local';
const LOCAL_AUDIENCE = 'parley';
const ALGORITHM = 'EdDSA';

/** Where a data folder keeps the embedded stack's private key. */
export const localKeyPath = (dataDir: string): string => join(dataDir, 'keys', 'private.pem');

/**
 * Creates the Ed25519 key at `keyPath` (mode 0600) unless it is there; two processes at once end up with one key.
 *
 * @returns the public key in PEM (SPKI).
 */
export async function ensureLocalKey(keyPath: string): Promise<string> {
  await mkdir(dirname(keyPath), { recursive: true, mode: 0o700 });
  const draft = `${keyPath}.${randomUUID()}`;
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFile(draft, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  try {
    await link(draft, keyPath);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return createPublicKey(await readFile(keyPath, 'utf8'))
    .export({ type: 'spki', format: 'pem' })
    .toString();
}

export interface TokenRequest {
  readonly tenant: string;
  readonly bot: string;
  /** Out of `bot`, `importer`, `analyst`, `sre`, `admin`. */
  readonly roles: readonly string[];
  /** How long the token is valid, in milliseconds; its `exp` is in whole seconds, rounded up. */
  readonly ttlMs: number;
  readonly keyPath: string;
}

/** Signs tokens with one key that was read once; see {@link signToken} for a single one. */
export async function tokenSigner(
  keyPath: string,
): Promise<(request: Omit<TokenRequest, 'keyPath'>) => Promise<string>> {
  const pem = await readFile(keyPath, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ParleyError('TOKEN_KEY_MISSING', `There is no signing key at ${keyPath} (${error.code}).`);
  });
  const key = createPrivateKey(pem);
  return async ({ tenant, bot, roles, ttlMs }) => {
    const nowS = Math.floor(Date.now() / 1_000);
    return await new SignJWT({ tenant, roles: [...roles] })
      .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT' })
      .setSubject(bot)
      .setIssuer(LOCAL_ISSUER)
      .setAudience(LOCAL_AUDIENCE)
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + Math.ceil(ttlMs / 1_000))
      .sign(key);
  };
}

/**
 * One token (claims in docs/protocol.md), signed with the embedded stack's key.
 *
 * @throws {ParleyError} TOKEN_KEY_MISSING when the key is not there.
 */
export async function signToken({ keyPath, ...request }: TokenRequest): Promise<string> {
  return await (await tokenSigner(keyPath))(request);
}
