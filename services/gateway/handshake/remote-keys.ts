import { createLocalJWKSet, errors, type JSONWebKeySet, type JWK, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { type KeyId, keyIdsOf } from './key-ids.ts';

export interface RemoteKeysOptions {
  readonly url: string;
  /** After this the set is asked for again, so that a key that was withdrawn stops working. */
  readonly maxAgeMs: number;
  /** Between two requests at least, whatever tokens come: neither made-up key ids nor an outage hammer the server. */
  readonly cooldownMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly onProblem: (problem: string) => void;
}

/** Whether a token is good cannot be said now: its key may be one that the server has and that is not here yet. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';
}

const MAX_BYTES = 1 << 20;
/** Key ids that are remembered as withdrawn, or as not there. */
const MAX_REMEMBERED = 1_000;

/**
 * The keys of a JWKS URL, kept. A key that is not known asks for the set again, since keys rotate; where the server was
 * asked a moment ago, or does not answer, its token is refused for now and the set is asked for as soon as that is allowed.
 * Only a set that came after the token can say for good that there is no such key. A set that has grown old is used while
 * it is asked for again, also while the server is away.
 */
export class RemoteKeys {
  readonly #options: RemoteKeysOptions;
  #keys: JWTVerifyGetKey | undefined;
  #kids = new Set<string>();
  #hasKeysWithoutKid = false;
  /** Key ids of earlier sets, and those that tokens named and the present set does not have. */
  readonly #withdrawn = new Set<string>();
  readonly #absent = new Set<string>();
  /** Keys of the last set that had any. */
  #ids: ReadonlySet<KeyId> = new Set();
  #version = 0;
  /** How many sets have come. */
  #sets = 0;
  #fetchedAtMs = 0;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #underWay: Promise<boolean> | undefined;
  #scheduled: NodeJS.Timeout | undefined;

  constructor(options: RemoteKeysOptions) {
    this.#options = options;
  }

  /** @throws {KeysUnavailableError}, jose's JWKSNoMatchingKey, or its JWKSMultipleMatchingKeys, which holds the keys. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const { clock, maxAgeMs, url } = this.#options;
    const since = this.#sets;
    if (!this.#keys) await this.#refresh();
    else if (clock.monotonicMs() - this.#fetchedAtMs >= maxAgeMs) void this.#refresh();
    if (!this.#keys) throw new KeysUnavailableError(`no key set from ${url} yet`);
    const { kid } = header;
    // Sets without a kid of their own, or with two of one kid, are told apart by trying.
    if (typeof kid === 'string' && !this.#kids.has(kid)) await this.#ask(kid, since);
    try {
      return await this.#keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || kid !== undefined) throw error;
      await this.#ask(undefined, since);
      return await this.#keys(header, token);
    }
  };

  /** Changes when a key was withdrawn. */
  get version(): number {
    return this.#version;
  }

  /** Whether the last set that had any key has this one: a set without keys is a mistake rather than the end of all sessions. */
  holds(keyId: KeyId | undefined): boolean {
    return keyId === undefined || this.#ids.has(keyId);
  }

  /** Asks for the set again when it has grown old, whether or not a token comes. */
  refresh(): void {
    const { clock, maxAgeMs } = this.#options;
    if (this.#keys && clock.monotonicMs() - this.#fetchedAtMs >= maxAgeMs) void this.#refresh();
  }

  /**
   * A token that names no key has the signature of none here. Where the server's keys have no names it may be a new one.
   *
   * @returns whether the keys are new and worth another try.
   * @throws {KeysUnavailableError}
   */
  async renew(): Promise<boolean> {
    if (!this.#hasKeysWithoutKid) return false;
    await this.#ask(undefined, this.#sets);
    return true;
  }

  /**
   * Asks for the set on behalf of a token whose key is not here.
   *
   * @param since how many sets had come when the token came.
   * @throws {KeysUnavailableError} unless one came after it.
   */
  async #ask(kid: string | undefined, since: number): Promise<void> {
    if (kid !== undefined && (this.#withdrawn.has(kid) || this.#absent.has(kid)) && this.#isCoolingDown) return;
    if (this.#sets > since || (await this.#refresh())) {
      if (kid !== undefined && !this.#kids.has(kid)) remember(this.#absent, kid);
      return;
    }
    this.#schedule();
    throw new KeysUnavailableError(`the key ${kid ?? 'of a token without kid'} is not known yet`);
  }

  get #isCoolingDown(): boolean {
    return !this.#underWay && this.#options.clock.monotonicMs() - this.#triedAtMs < this.#options.cooldownMs;
  }

  /** Once the server may be asked again it is, whether or not another token comes: keys may have rotated meanwhile. */
  #schedule(): void {
    const { clock, cooldownMs } = this.#options;
    const waitMs = Math.max(0, this.#triedAtMs + cooldownMs - clock.monotonicMs());
    this.#scheduled ??= setTimeout(() => {
      this.#scheduled = undefined;
      void this.#refresh();
    }, waitMs).unref();
  }

  /** Resolves with whether a new set has come; all who wait share one request. Never rejects. */
  #refresh(): Promise<boolean> {
    if (this.#isCoolingDown) return Promise.resolve(false);
    this.#underWay ??= this.#fetch().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #fetch(): Promise<boolean> {
    const { url, timeoutMs, clock, onProblem } = this.#options;
    this.#triedAtMs = clock.monotonicMs();
    try {
      const response = await fetch(url, {
        headers: { accept: 'application/jwk-set+json, application/json' },
        signal: AbortSignal.timeout(timeoutMs),
        // A redirect may lead to a sign-in page, or anywhere: the URL is to be the key set's own.
        redirect: 'manual',
      });
      const text = response.ok ? await response.text() : '';
      if (!response.ok) throw new Error(`it answers ${response.status}`);
      if (text.length > MAX_BYTES) throw new Error(`its answer has ${text.length} characters`);
      const set = JSON.parse(text) as JSONWebKeySet;
      this.#take(set, await keyIdsOf(set.keys ?? []));
      return true;
    } catch (error) {
      onProblem(messageOf(error));
      return false;
    }
  }

  #take(set: JSONWebKeySet, ids: ReadonlySet<KeyId>): void {
    const keys = createLocalJWKSet({ ...set, keys: set.keys?.map(withoutCurveName) });
    const kids = new Set(set.keys.flatMap(({ kid }) => (kid === undefined ? [] : [kid])));
    for (const kid of this.#kids) if (!kids.has(kid)) remember(this.#withdrawn, kid);
    for (const kid of kids) this.#withdrawn.delete(kid);
    this.#absent.clear();
    if (ids.size > 0) {
      if ([...this.#ids].some((id) => !ids.has(id))) this.#version += 1;
      this.#ids = ids;
    }
    this.#keys = keys;
    this.#sets += 1;
    this.#kids = kids;
    this.#hasKeysWithoutKid = set.keys.some(({ kid }) => kid === undefined);
    this.#fetchedAtMs = this.#options.clock.monotonicMs();
  }
}

/** `EdDSA` and `Ed25519` (RFC 9864) are two names for one algorithm; a key may have one and its token the other. */
function withoutCurveName(jwk: JWK): JWK {
  const { alg: _, ...rest } = jwk;
  return jwk.kty === 'OKP' && jwk.crv === 'Ed25519' ? rest : jwk;
}

function remember(set: Set<string>, kid: string): void {
  if (set.size >= MAX_REMEMBERED) set.clear();
  set.add(kid);
}
