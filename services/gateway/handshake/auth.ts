import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import type { BotIdentity } from '../../core/bot-identity.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import { ParleyError } from '../../core/errors.ts';
import { type Bound, type ClaimNames, readClaims } from './claims.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';
import { type KeyId, keyIdOf } from './key-ids.ts';
import { KeysUnavailableError, RemoteKeys } from './remote-keys.ts';

/** `Ed25519` is RFC 9864's name for what `EdDSA` means with that curve. */
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA', 'Ed25519'] as const;
/** Algorithms by kind of key. A key of another kind is refused at start: it would refuse every token. */
const KEY_ALGORITHMS: Readonly<Record<string, readonly (typeof ALGORITHMS)[number][]>> = {
  rsa: ['RS256'],
  'ec:prime256v1': ['ES256'],
  ed25519: ['EdDSA', 'Ed25519'],
};
/** A token without `kid` is tried with so many keys of its kind: each costs a signature. */
const MAX_TRIED_KEYS = 5;
const JWKS_TIMEOUT_MS = 3_000;
const JWKS_MAX_AGE_MS = 300_000;
const JWKS_COOLDOWN_MS = 10_000;

/** The claims of a valid token. */
export interface Credentials extends BotIdentity {
  /** It brings history, whose times are kept. */
  readonly importer: boolean;
  /** What it is good for alone, where the token says so. */
  readonly bound?: Bound;
  /** Seconds since the epoch, as in the token. */
  readonly expiresAtS: number;
  /** Its `jti`. */
  readonly tokenId?: string;
  /** The key of a key set that has signed it; undefined for the key of `JWT_PUBLIC_KEY`. */
  readonly keyId?: KeyId;
}

export interface AuthOptions {
  readonly publicKeyPem: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly issuer: string;
  readonly audience: string;
  readonly leewayS: number;
  /** Tokens that live longer are refused. */
  readonly maxLifeS?: number | undefined;
  readonly claims?: ClaimNames;
  readonly jwksMaxAgeMs?: number;
  readonly jwksCooldownMs?: number;
  readonly clock?: Clock;
  /** Called when the key server fails; the keys at hand go on working. */
  readonly onKeyProblem?: (problem: string) => void;
}

export type Authenticate = (token: string) => Promise<Credentials>;

/** The keys that tokens may be signed with now. */
interface KeyWatch {
  /** Changes when a key was withdrawn. */
  readonly version: number;
  /** Whether this key is still published. */
  holds(keyId: KeyId | undefined): boolean;
  /** Asks for the keys again when they have grown old. Never waits. */
  refresh(): void;
}

export type Authenticator = Authenticate & { readonly keys: KeyWatch };

/** A key from the configuration does not change while the process lives. */
const FIXED_KEYS: KeyWatch = { version: 0, holds: () => true, refresh: () => {} };

const CLAIMS: ClaimNames = { bot: 'sub', tenant: 'tenant', roles: 'roles' };

/**
 * Makes the check of a token's signature and claims: RS256, ES256 or EdDSA; `iss`, `aud`, `exp`, and the claims that name
 * bot and tenant required; the roles must hold `bot` or `importer`.
 *
 * @throws {ParleyError} CONFIG_INVALID unless exactly one source of keys is given and usable.
 * @returns a function that rejects with {@link HandshakeRefusal}.
 */
export function createAuthenticator(options: AuthOptions): Authenticator {
  const { issuer, audience, leewayS, maxLifeS, clock = systemClock, claims = CLAIMS } = options;
  const { key, algorithms, remote } = keySource(options);
  const authenticate: Authenticate = async (token) => {
    const checks = {
      algorithms: [...algorithms],
      issuer,
      audience,
      requiredClaims: ['exp'],
      clockTolerance: leewayS,
      currentDate: new Date(clock.now()),
    };
    try {
      const { payload, keyId } = await verify(token, key, checks).catch(async (error: unknown) => {
        if (!isUnnamed(token, error) || !(await remote?.renew())) throw error;
        return await verify(token, key, checks);
      });
      if (maxLifeS !== undefined) checkLife(payload, maxLifeS, clock);
      const { exp, jti } = payload as JWTPayload & { exp: number };
      return {
        ...readClaims(payload, claims),
        expiresAtS: exp,
        ...(typeof jti === 'string' && { tokenId: jti }),
        ...(keyId !== undefined && { keyId }),
      };
    } catch (error) {
      throw error instanceof HandshakeRefusal ? error : refusalFor(error);
    }
  };
  return Object.assign(authenticate, { keys: remote ?? FIXED_KEYS });
}

/** A token that does not say when it was made lives at least from now. @throws {HandshakeRefusal} */
function checkLife({ exp = 0, iat }: JWTPayload, maxLifeS: number, clock: Clock): void {
  const lifeS = Math.ceil(exp - (iat ?? clock.now() / 1_000));
  if (lifeS <= maxLifeS) return;
  const message = `the token lives longer than this gateway allows, which is ${maxLifeS} s`;
  throw new HandshakeRefusal('token_invalid', message, `MAX_TOKEN_LIFE_S is ${maxLifeS}, the token's life ${lifeS} s`);
}

interface Verified {
  readonly payload: JWTPayload;
  readonly keyId?: KeyId;
}

/** A token that names no key is tried with each that fits (RFC 7515 §4.1.4 leaves `kid` optional). */
async function verify(token: string, key: Key, checks: JWTVerifyOptions): Promise<Verified> {
  try {
    if (typeof key !== 'function') return { payload: (await jwtVerify(token, key, checks)).payload };
    const verified = await jwtVerify(token, key, checks);
    return { payload: verified.payload, keyId: await keyIdOf(verified.key) };
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    let tried = 0;
    for await (const candidate of error) {
      if (++tried > MAX_TRIED_KEYS) break;
      try {
        const { payload } = await jwtVerify(token, candidate, checks);
        return { payload, keyId: await keyIdOf(candidate) };
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed(
      `none of ${Math.min(tried, MAX_TRIED_KEYS)} keys that fit has signed it`,
    );
  }
}

/** Whether a token without `kid` failed for its signature alone. */
function isUnnamed(token: string, error: unknown): boolean {
  return error instanceof errors.JWSSignatureVerificationFailed && decodeProtectedHeader(token).kid === undefined;
}

type Key = KeyObject | JWTVerifyGetKey;

function keySource(options: AuthOptions): { key: Key; algorithms: readonly string[]; remote?: RemoteKeys } {
  const { publicKeyPem, jwksUrl } = options;
  if ((publicKeyPem === undefined) === (jwksUrl === undefined)) {
    const found = publicKeyPem === undefined ? 'neither' : 'both';
    throw new ParleyError('CONFIG_INVALID', `Of JWT_PUBLIC_KEY and JWKS_URL ${found} is set; allowed is exactly one`);
  }
  if (publicKeyPem === undefined) {
    const keys = new RemoteKeys({
      url: jwksUrl as string,
      maxAgeMs: options.jwksMaxAgeMs ?? JWKS_MAX_AGE_MS,
      cooldownMs: options.jwksCooldownMs ?? JWKS_COOLDOWN_MS,
      timeoutMs: JWKS_TIMEOUT_MS,
      clock: options.clock ?? systemClock,
      onProblem: options.onKeyProblem ?? (() => {}),
    });
    return { key: keys.find, algorithms: ALGORITHMS, remote: keys };
  }
  const key = parsePublicKey(publicKeyPem);
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const algorithms = KEY_ALGORITHMS[curve ? `${key.asymmetricKeyType}:${curve}` : `${key.asymmetricKeyType}`];
  if (!algorithms) {
    throw new ParleyError(
      'CONFIG_INVALID',
      `JWT_PUBLIC_KEY is a key of type ${key.asymmetricKeyType}; allowed are RSA, EC on P-256 and Ed25519`,
    );
  }
  return { key, algorithms };
}

function parsePublicKey(pem: string): KeyObject {
  // Environment files often carry a PEM on one line, with \n written out.
  const text = pem.replaceAll('\\n', '\n');
  if (text.includes('PRIVATE KEY')) {
    throw new ParleyError('CONFIG_INVALID', 'JWT_PUBLIC_KEY holds a private key; allowed is a public key in PEM');
  }
  try {
    return createPublicKey(text);
  } catch (cause) {
    throw new ParleyError('CONFIG_INVALID', 'JWT_PUBLIC_KEY is no public key in PEM; allowed is SPKI PEM', { cause });
  }
}

function refusalFor(error: unknown): HandshakeRefusal {
  if (error instanceof errors.JWTExpired) return new HandshakeRefusal('token_expired', 'the token has expired');
  if (error instanceof KeysUnavailableError) {
    return new HandshakeRefusal('keys_unavailable', 'tokens can not be checked at the moment', error.message);
  }
  if (!(error instanceof errors.JOSEError)) {
    // A key of the set that its own algorithm can not use, say: nothing that another token would cure.
    return new HandshakeRefusal('token_invalid', 'the token is not valid here', `${error}`);
  }
  const detail = `${error.code}: ${error.message}`;
  return new HandshakeRefusal('token_invalid', 'the token is not valid here', detail);
}
