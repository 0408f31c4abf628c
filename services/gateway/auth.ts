import { createPublicKey, type KeyObject } from 'node:crypto';
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { ParleyError } from '../core/errors.ts';
import type { Identity } from './frame-validator.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';

const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
/** The keys that go with them. With a key of another kind every token would be refused, so the start is. */
const KEY_ALGORITHMS: Readonly<Record<string, (typeof ALGORITHMS)[number]>> = {
  rsa: 'RS256',
  'ec:prime256v1': 'ES256',
  ed25519: 'EdDSA',
};
const MAX_CLAIM_CHARS = 128;
const JWKS_TIMEOUT_MS = 3_000;

/** What a good token says. */
export interface Grant extends Identity {
  /** Seconds since the epoch, as in the token. */
  readonly expiresAtS: number;
}

export interface AuthOptions {
  readonly publicKeyPem: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly issuer: string;
  readonly audience: string;
  readonly leewayS: number;
  readonly now?: () => number;
}

export type Authenticate = (token: string) => Promise<Grant>;

/**
 * Makes the check of a token's signature and claims: RS256, ES256 or EdDSA; `iss`, `aud`, `exp`, `sub` and `tenant`
 * required; `roles` must hold `bot`.
 *
 * @throws {ParleyError} CONFIG_INVALID unless exactly one source of keys is given and usable.
 * @returns a function that rejects with {@link HandshakeRefusal}.
 */
export function createAuthenticator(options: AuthOptions): Authenticate {
  const { issuer, audience, leewayS, now = Date.now } = options;
  const { key, algorithms } = keySource(options);
  return async (token) => {
    const { payload } = await jwtVerify(token, key as JWTVerifyGetKey, {
      algorithms: [...algorithms],
      issuer,
      audience,
      requiredClaims: ['exp', 'sub', 'tenant'],
      clockTolerance: leewayS,
      currentDate: new Date(now()),
    }).catch((error: unknown) => {
      throw refusalFor(error);
    });
    return grantOf(payload);
  };
}

function keySource({ publicKeyPem, jwksUrl }: AuthOptions): {
  key: KeyObject | JWTVerifyGetKey;
  algorithms: readonly string[];
} {
  if ((publicKeyPem === undefined) === (jwksUrl === undefined)) {
    const found = publicKeyPem === undefined ? 'neither' : 'both';
    throw new ParleyError('CONFIG_INVALID', `Of JWT_PUBLIC_KEY and JWKS_URL ${found} is set; allowed is exactly one`);
  }
  if (publicKeyPem === undefined) {
    const url = new URL(jwksUrl as string);
    return { key: createRemoteJWKSet(url, { timeoutDuration: JWKS_TIMEOUT_MS }), algorithms: ALGORITHMS };
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
  const outage = error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError);
  // jose reports a failed download of the key set as a plain JOSEError or as the network's own error.
  if (outage || (error as errors.JOSEError).code === 'ERR_JOSE_GENERIC') {
    return new HandshakeRefusal('keys_unavailable', 'tokens can not be checked at the moment', `${error}`);
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

function grantOf(payload: JWTPayload): Grant {
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
