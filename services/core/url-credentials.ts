/** A URL without its `user:password@`, fit for logs, and what stood there. */
export interface SplitUrl {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
}

/** @param address an http or https URL; a trailing slash is dropped. */
export function splitCredentials(address: string): SplitUrl {
  const parsed = new URL(address);
  const { username, password } = parsed;
  parsed.username = '';
  parsed.password = '';
  const url = parsed.href.replace(/\/+$/, '');
  return username === ''
    ? { url }
    : { url, username: decodeURIComponent(username), password: decodeURIComponent(password) };
}

export const basicAuth = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
