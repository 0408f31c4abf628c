import { z } from 'zod';
import type { BotIdentity } from '../../core/bot-identity.ts';

/** Why credentials do not count although their token is good. */
export type Denial = 'token_revoked' | 'access_denied';

/** What a denial is looked up by. */
interface Denied extends BotIdentity {
  /** The token's `jti`. */
  readonly tokenId?: string;
}

/** About 10 MB of memory a process. */
const MAX_ENTRIES = 100_000;

/** Names cannot hold U+0000. */
const keyOf = ({ tenant, bot }: BotIdentity): string => `${tenant}\0${bot}`;

const name = z.string().min(1).max(256);
const ENTRIES = z.strictObject({
  tokens: z.array(name).default([]),
  tenants: z.array(name).default([]),
  bots: z.array(z.strictObject({ tenant: name, bot: name })).default([]),
});

/** Tokens by id, whole tenants, and bots that may not connect. */
export class DenyList {
  static readonly empty = new DenyList('{}');
  readonly #tokens: ReadonlySet<string>;
  readonly #tenants: ReadonlySet<string>;
  readonly #bots: ReadonlySet<string>;

  /**
   * @param text `{"tokens":["jti"],"tenants":["acme"],"bots":[{"tenant":"acme","bot":"helper"}]}`; each may be left out.
   * @throws {Error} that names what is wrong
   */
  constructor(text: string) {
    const parsed = ENTRIES.safeParse(JSON.parse(text));
    if (!parsed.success) {
      const [{ path, message } = { path: [], message: 'unknown' }] = parsed.error.issues;
      throw new Error(
        `at ${path.join('.') || 'its root'}: ${message}; allowed are lists "tokens", "tenants" and "bots"`,
      );
    }
    const { tokens, tenants, bots } = parsed.data;
    const entries = tokens.length + tenants.length + bots.length;
    if (entries > MAX_ENTRIES) throw new Error(`it has ${entries} entries; allowed are ${MAX_ENTRIES}`);
    this.#tokens = new Set(tokens);
    this.#tenants = new Set(tenants);
    this.#bots = new Set(bots.map(keyOf));
  }

  get size(): number {
    return this.#tokens.size + this.#tenants.size + this.#bots.size;
  }

  /** Why these credentials do not count; undefined where they do. */
  find(credentials: Denied): Denial | undefined {
    if (this.#tenants.has(credentials.tenant) || this.#bots.has(keyOf(credentials))) return 'access_denied';
    return credentials.tokenId !== undefined && this.#tokens.has(credentials.tokenId) ? 'token_revoked' : undefined;
  }
}
