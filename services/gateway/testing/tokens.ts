import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, importSPKI, type JWK, SignJWT } from 'jose';

export interface TokenClaims {
  readonly tenant?: string;
  readonly bot?: string;
  readonly roles?: readonly string[];
  readonly audience?: string;
  readonly issuer?: string;
  /** Seconds from now; `null` for a token without `exp`. */
  readonly expiresInS?: number | null;
  /** The claim `jti`. */
  readonly tokenId?: string;
  /** For the claim `iat`. */
  readonly issuedAgoS?: number;
}

/** A key pair that signs tokens as Parley wants them, or not quite. */
export class TokenMaker {
  readonly publicKeyPem: string;
  readonly algorithm: string;
  /** Names the key in a set of several. */
  readonly keyId: string | undefined;
  readonly #privateKey: CryptoKey;

  private constructor(algorithm: string, publicKeyPem: string, privateKey: CryptoKey, keyId: string | undefined) {
    this.algorithm = algorithm;
    this.publicKeyPem = publicKeyPem;
    this.#privateKey = privateKey;
    this.keyId = keyId;
  }

  static async create(algorithm = 'EdDSA', keyId?: string): Promise<TokenMaker> {
    const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
    return new TokenMaker(algorithm, await exportSPKI(publicKey), privateKey, keyId);
  }

  /** @param algorithm the name in the token's head, where it is another than the key's. */
  sign(claims: TokenClaims = {}, algorithm = this.algorithm): Promise<string> {
    const header = { alg: algorithm, ...(this.keyId !== undefined && { kid: this.keyId }) };
    return unsigned(claims).setProtectedHeader(header).sign(this.#privateKey);
  }

  /** The public key as a JWKS has it. */
  async jwk(): Promise<JWK> {
    const key = await importSPKI(this.publicKeyPem, this.algorithm, { extractable: true });
    return { ...(await exportJWK(key)), alg: this.algorithm, ...(this.keyId !== undefined && { kid: this.keyId }) };
  }
}

/** A token's claims, not yet signed. */
export function unsigned(claims: TokenClaims = {}): SignJWT {
  const { tenant = 'acme', bot = 'helper', roles = ['bot'], expiresInS = 3_600 } = claims;
  const token = new SignJWT({ tenant, roles: [...roles] })
    .setSubject(bot)
    .setAudience(claims.audience ?? 'parley')
    .setIssuer(claims.issuer ?? 'parley-local');
  if (claims.tokenId !== undefined) token.setJti(claims.tokenId);
  if (claims.issuedAgoS !== undefined) token.setIssuedAt(Math.floor(Date.now() / 1_000) - claims.issuedAgoS);
  return expiresInS === null ? token : token.setExpirationTime(Math.floor(Date.now() / 1_000) + expiresInS);
}

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token of `alg: none`, complete in every claim. */
export function unsecured(): string {
  const exp = Math.floor(Date.now() / 1_000) + 3_600;
  const claims = { sub: 'helper', tenant: 'acme', roles: ['bot'], aud: 'parley', iss: 'parley-local', exp };
  return `${base64url({ alg: 'none' })}.${base64url(claims)}.`;
}
