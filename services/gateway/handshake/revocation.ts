import type { WatchedFiles } from '../network/watched-files.ts';
import type { Authenticator, Credentials } from './auth.ts';
import { type Denial, DenyList } from './deny-list.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';

/** Why a session that was admitted may not go on. */
export type Revoked = Denial | 'key_withdrawn';

const MESSAGES: Readonly<Record<Denial, string>> = {
  token_revoked: 'the token was revoked',
  access_denied: 'this bot, or its tenant, may not connect',
};

/** Whether credentials still count: not after they were denied, nor when the key that signed them is withdrawn. */
export class Revocation {
  readonly #authenticator: Authenticator;
  readonly #file: WatchedFiles<DenyList> | undefined;
  #checkedList = DenyList.empty;
  #checkedKeys = 0;

  constructor(authenticator: Authenticator, file?: WatchedFiles<DenyList>) {
    this.#authenticator = authenticator;
    this.#file = file;
    this.#checkedList = this.#list;
  }

  /** The check of a token, with denials. @throws {HandshakeRefusal} */
  readonly authenticate = async (token: string): Promise<Credentials> => {
    const credentials = await this.#authenticator(token);
    const denial = this.#list.find(credentials);
    if (denial) {
      const detail = `tenant ${credentials.tenant}, bot ${credentials.bot}, token ${credentials.tokenId ?? 'without id'}`;
      throw new HandshakeRefusal(denial, MESSAGES[denial], detail);
    }
    return credentials;
  };

  /** Why these credentials do not count any more; undefined while they do. */
  find(credentials: Credentials): Revoked | undefined {
    return (
      this.#list.find(credentials) ?? (this.#authenticator.keys.holds(credentials.keyId) ? undefined : 'key_withdrawn')
    );
  }

  /** Called about once a second: looks for changes. @returns whether open sessions are to be checked again. */
  refresh(): boolean {
    void this.#file?.refresh();
    this.#authenticator.keys.refresh();
    const { version } = this.#authenticator.keys;
    const changed = this.#checkedList !== this.#list || this.#checkedKeys !== version;
    this.#checkedList = this.#list;
    this.#checkedKeys = version;
    return changed;
  }

  get #list(): DenyList {
    return this.#file?.value ?? DenyList.empty;
  }
}
