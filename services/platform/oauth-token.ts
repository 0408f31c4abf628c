import { basicAuth } from '../core/url-credentials.ts';

export interface ClientCredentials {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope?: string;
}

/** One request for a token is given up after this long. */
const TIMEOUT_MS = 10_000;
/** A token is used for this share of its life, so that it does not run out on its way. */
const USED_SHARE = 0.8;
/** RFC 6749 recommends `expires_in` and does not demand it. */
const DEFAULT_LIFE_S = 300;

/**
 * Access tokens by OAuth 2 client credentials (RFC 6749, section 4.4): one request at a time, its token shared until
 * four fifths of its life are over.
 *
 * @returns a function that resolves with a valid token, and rejects with an error that holds no secret.
 */
export function clientCredentials(
  options: ClientCredentials,
  now: () => number = () => performance.now(),
): () => Promise<string> {
  let current: { readonly token: string; readonly untilMs: number } | undefined;
  let pending: Promise<string> | undefined;
  const ask = async (): Promise<string> => {
    const askedAt = now();
    const { token, lifeS } = await requestToken(options);
    current = { token, untilMs: askedAt + lifeS * 1_000 * USED_SHARE };
    return token;
  };
  return async () => {
    if (current && now() < current.untilMs) return current.token;
    pending ??= ask().finally(() => {
      pending = undefined;
    });
    return await pending;
  };
}

async function requestToken({ tokenUrl, clientId, clientSecret, scope }: ClientCredentials) {
  const form = new URLSearchParams({ grant_type: 'client_credentials', ...(scope !== undefined && { scope }) });
  const response = await fetch(tokenUrl, {
    method: 'POST',
    headers: {
      // RFC 6749, section 2.3.1: both are form-encoded before they become basic auth.
      authorization: basicAuth(encodeURIComponent(clientId), encodeURIComponent(clientSecret)),
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    },
    body: form.toString(),
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  const where = new URL(tokenUrl).origin;
  if (!response.ok) throw new Error(`the token endpoint at ${where} answered ${response.status}${errorOf(text)}`);
  const { access_token: token, expires_in: lifeS } = parse(text);
  if (typeof token !== 'string' || token === '') throw new Error(`the token endpoint at ${where} gave no access_token`);
  return { token, lifeS: typeof lifeS === 'number' && lifeS > 0 ? lifeS : DEFAULT_LIFE_S };
}

/** The endpoint's own error code (`invalid_client`, …), which is one of a closed list and no secret. */
function errorOf(text: string): string {
  const { error } = parse(text);
  return typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? `: ${error}` : '';
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
