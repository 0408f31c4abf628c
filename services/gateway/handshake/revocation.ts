import type { Authenticator, Credentials } from './auth.ts';
import type { Denial, DenyList } from './deny-list.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';

/** A list of denials that is read again while the gateway runs. */
export interface DenySource {
  readonly value: DenyList;
  refresh(): unknown;
  /** Resolves when it was read for the first time, or cannot be just now. */
  ready?(): Promise<void>;
  close?(): Promise<void>;
}

/** Why a session that was admitted may not go on. */
export type Revoked = Denial | 'key_withdrawn';

const MESSAGES: Readonly<Record<Denial, string>> = {
  token_revoked: 'the token was revoked',
  access_denied: 'this bot, or its tenant, may not connect',
};

/** Whether credentials still count: not after they were denied, nor when the key that signed them is withdrawn. */
export class Revocation {
  readonly #authenticator: Authenticator;
  readonly #sources: readonly DenySource[];
  #checkedLists: readonly DenyList[];
  #checkedKeys = 0;

  constructor(authenticator: Authenticator, sources: readonly DenySource[]) {
    this.#authenticator = authenticator;
    this.#sources = sources;
    this.#checkedLists = this.#lists();
  }

  /** Resolves when all lists were read for the first time, or cannot be just now. */
  async ready(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.ready?.()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close?.()));
  }

  /** The check of a token, with denials. @throws {HandshakeRefusal} */
  readonly authenticate = async (token: string): Promise<Credentials> => {
    const credentials = await this.#authenticator(token);
    const denial = this.#denialOf(credentials);
    if (denial) {
      const detail = `tenant ${credentials.tenant}, bot ${credentials.bot}, token ${credentials.tokenId ?? 'without id'}`;
      throw new HandshakeRefusal(denial, MESSAGES[denial], detail);
    }
    return credentials;
  };

  /** Why these credentials do not count any more; undefined while they do. */
  find(credentials: Credentials): Revoked | undefined {
    return (
      this.#denialOf(credentials) ?? (this.#authenticator.keys.holds(credentials.keyId) ? undefined : 'key_withdrawn')
    );
  }

  /** Called about once a second: looks for changes. @returns whether open sessions are to be checked again. */
  refresh(): boolean {
    for (const source of this.#sources) void source.refresh();
    this.#authenticator.keys.refresh();
    const { version } = this.#authenticator.keys;
    const lists = this.#lists();
    const changed = lists.some((list, i) => list !== this.#checkedLists[i]) || this.#checkedKeys !== version;
    this.#checkedLists = lists;
    this.#checkedKeys = version;
    return changed;
  }

  #lists(): DenyList[] {
    return this.#sources.map(({ value }) => value);
  }

  /** Where several lists deny: that which no other token helps against. */
  #denialOf(credentials: Credentials): Denial | undefined {
    const denials = this.#sources.map(({ value }) => value.find(credentials));
    return denials.find((denial) => denial === 'access_denied') ?? denials.find(Boolean);
  }
}
