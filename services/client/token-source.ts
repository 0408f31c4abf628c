import { within } from '../core/within.ts';
import { ParleyClientError, textOf } from './errors.ts';

export type TokenProvider = () => string | Promise<string>;

const TOKEN_TIMEOUT_MS = 30_000;

/**
 * A token as a header can carry it. Line ends around it are left out: a token read from a file mostly has one.
 *
 * @throws {ParleyClientError} `token_unavailable`, which never holds the token.
 */
export function cleanToken(value: unknown): string {
  const token = typeof value === 'string' ? value.trim() : '';
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  const what =
    typeof value !== 'string' ? `is ${typeof value}` : token === '' ? 'is empty' : 'has characters within it';
  throw new ParleyClientError('token_unavailable', `the token ${what} that no header can carry`);
}

/**
 * Asks the caller for a token, and waits no longer than half a minute: a provider that hangs must not end reconnecting.
 *
 * @throws {ParleyClientError} `token_unavailable`
 */
export async function askForToken(provider: TokenProvider): Promise<string> {
  try {
    const asked = (async () => provider())();
    return cleanToken(
      await within(TOKEN_TIMEOUT_MS, asked, () => {
        throw new Error(`tokenProvider gave none within ${TOKEN_TIMEOUT_MS} ms`);
      }),
    );
  } catch (error) {
    if (error instanceof ParleyClientError) throw error;
    throw new ParleyClientError('token_unavailable', `no token: ${textOf(error)}`, { cause: error });
  }
}
