import { messageOf } from '../../../core/errors.ts';
import { type ClientCredentials, clientCredentials } from '../../../platform/oauth-token.ts';
import { NlpError } from '../nlp-errors.ts';

/** After a refused token no other is asked for sooner: an API that knows none of them gets no flood of new ones. */
const RENEW_AFTER_MS = 10_000;

/** The `Authorization` header of an API behind OAuth client credentials: renewed in time, and once it is refused. */
export class BearerToken {
  readonly #credentials: ClientCredentials;
  readonly #now: () => number;
  #token: () => Promise<string>;
  #renewedAtMs = Number.NEGATIVE_INFINITY;

  constructor(credentials: ClientCredentials, now: () => number = () => performance.now()) {
    this.#credentials = credentials;
    this.#now = now;
    this.#token = clientCredentials(credentials, now);
  }

  /** @throws {NlpError} `misconfigured`, so that no message is given up while there is no token. */
  async header(): Promise<string> {
    try {
      return `Bearer ${await this.#token()}`;
    } catch (error) {
      throw new NlpError('misconfigured', 'token', `no token for the NLP API: ${messageOf(error)}`);
    }
  }

  /** The API refused the token: it may have been revoked before its time. */
  refused(): void {
    const now = this.#now();
    if (now - this.#renewedAtMs < RENEW_AFTER_MS) return;
    this.#renewedAtMs = now;
    this.#token = clientCredentials(this.#credentials, this.#now);
  }
}
