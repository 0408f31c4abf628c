import { createPublicKey, type KeyObject } from 'node:crypto';
import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { BotIdentity } from '../../core/bot-identity.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import { ParleyError } from '../../core/errors.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';
import { KeysUnavailableError, RemoteKeys } from './remote-keys.ts';

const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
/** Algorithms by kind of key. A key of another kind is refused at start: it would refuse every token. */
const KEY_ALGORITHMS: Readonly<Record<string, (typeof ALGORITHMS)[number]>> = {
  rsa: 'RS256',
  'ec:prime256v1': 'ES256',
  ed25519: 'EdDSA',
};
const MAX_CLAIM_CHARS = 128;
const JWKS_TIMEOUT_MS = 3_000;
const JWKS_MAX_AGE_MS = 300_000;
const JWKS_COOLDOWN_MS = 10_000;

/** The claims of a valid token. */
export interface Credentials extends BotIdentity {
  /** Seconds since the epoch, as in the token. */
  readonly expiresAtS: number;
}

export interface AuthOptions {
  readonly publicKeyPem: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly issuer: string;
  readonly audience: string;
  readonly leewayS: number;
  readonly jwksMaxAgeMs?: number;
  readonly jwksCooldownMs?: number;
  readonly clock?: Clock;
  /** Called when the key server fails; the keys at hand go on working. */
  readonly onKeyProblem?: (problem: string) => void;
}

export type Authenticate = (token: string) => Promise<Credentials>;

/**
 * Makes the check of a token's signature and claims: RS256, ES256 or EdDSA; `iss`, `aud`, `exp`, `sub` and `tenant`
 * required; `roles` must hold `bot`.
 *
 * @throws {ParleyError} CONFIG_INVALID unless exactly one source of keys is given and usable.
 * @returns a function that rejects with {@link HandshakeRefusal}.
 */
export function createAuthenticator(options: AuthOptions): Authenticate {
  const { issuer, audience, leewayS, clock = systemClock } = options;
  const { key, algorithms } = keySource(options);
  return async (token) => {
    const { payload } = await jwtVerify(token, key as JWTVerifyGetKey, {
      algorithms: [...algorithms],
      issuer,
      audience,
      requiredClaims: ['exp', 'sub', 'tenant'],
      clockTolerance: leewayS,
      currentDate: new Date(clock.now()),
    }).catch((error: unknown) => {
      throw refusalFor(error);
    });
    return credentialsOf(payload);
  };
}

function keySource(options: AuthOptions): {
  key: KeyObject | JWTVerifyGetKey;
  algorithms: readonly string[];
} {
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
    return { key: keys.find, algorithms: ALGORITHMS };
  }
  const key = parsePublicKey(publicKeyPem);
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const algorithm = KEY_ALGORITHMS[curve ? `${key.asymmetricKeyType}:${curve}` : `${key.asymmetricKeyType}`];
  if (!algorithm) {
    throw new ParleyError(
      'CONFIG_INVALID',
      `JWT_PUBLIC_KEY is a key of type ${key.asymmetricKeyType}; allowed are RSA, EC on P-256 and Ed25519`,
    );
  }
  return { key, algorithms: [algorithm] };
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

const isName = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length >= 1 &&
  value.length <= MAX_CLAIM_CHARS &&
  value.isWellFormed() &&
  !value.includes('\0');

function credentialsOf(payload: JWTPayload): Credentials {
  const { sub, exp, tenant, roles } = payload;
  if (!isName(sub) || !isName(tenant)) {
    const detail = `sub and tenant must be strings of 1 to ${MAX_CLAIM_CHARS} characters`;
    throw new HandshakeRefusal('token_invalid', 'the token is not valid here', detail);
  }
  if (!Array.isArray(roles) || !roles.includes('bot')) {
    throw new HandshakeRefusal('role_missing', 'the token does not have the role bot', `tenant ${tenant}, sub ${sub}`);
  }
  return { tenant, bot: sub, expiresAtS: exp as number };
}
