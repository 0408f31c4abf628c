import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';

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

/** The key server has never answered. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';
}

const MAX_BYTES = 1 << 20;

/**
 * The keys of a JWKS URL, kept. A key id that is not known asks for the set again, since keys rotate; a set that has
 * grown old is asked for again before it is used. While the server is away the keys at hand go on working.
 */
export class RemoteKeys {
  readonly #options: RemoteKeysOptions;
  #keys: JWTVerifyGetKey | undefined;
  #fetchedAtMs = 0;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #underWay: Promise<void> | undefined;

  constructor(options: RemoteKeysOptions) {
    this.#options = options;
  }

  /** @throws {KeysUnavailableError}, or jose's JWKSNoMatchingKey. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const ageMs = this.#options.clock.monotonicMs() - this.#fetchedAtMs;
    if (!this.#keys || ageMs >= this.#options.maxAgeMs) await this.#refresh();
    if (!this.#keys) throw new KeysUnavailableError(`no key set from ${this.#options.url} yet`);
    try {
      return await this.#keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      const before = this.#keys;
      await this.#refresh();
      if (this.#keys === before) throw error;
      return await this.#keys(header, token);
    }
  };

  /** Asks the server, unless it was asked a moment ago; all who wait share one request. Never rejects. */
  #refresh(): Promise<void> {
    this.#underWay ??= this.#fetch().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #fetch(): Promise<void> {
    const { url, cooldownMs, timeoutMs, clock, onProblem } = this.#options;
    if (clock.monotonicMs() - this.#triedAtMs < cooldownMs) return;
    this.#triedAtMs = clock.monotonicMs();
    try {
      const response = await fetch(url, {
        headers: { accept: 'application/jwk-set+json, application/json' },
        signal: AbortSignal.timeout(timeoutMs),
        redirect: 'manual',
      });
      const text = response.ok ? await response.text() : '';
      if (!response.ok) throw new Error(`it answers ${response.status}`);
      if (text.length > MAX_BYTES) throw new Error(`its answer has ${text.length} characters`);
      this.#keys = createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
      this.#fetchedAtMs = clock.monotonicMs();
    } catch (error) {
      onProblem(messageOf(error));
    }
  }
}
