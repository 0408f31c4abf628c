import { basicAuth, splitCredentials } from '../../../core/url-credentials.ts';

export const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json' };

/** A path fit for spans and logs: the query may hold a key. */
export const withoutQuery = (path: string): string => path.replace(/\?.*$/, '');

/** Where an NLP API is, as its URL says it. */
export interface Endpoint {
  readonly origin: string;
  /** The path and query of a request: the URL's own path, then `path`, then the queries of both. */
  readonly pathTo: (path: string) => string;
  /** The header for `user:password@` in the URL. */
  readonly authorization: string | undefined;
}

export function endpointOf(address: string): Endpoint {
  const { url, username, password } = splitCredentials(address);
  const { origin, pathname, search } = new URL(url);
  const base = pathname.replace(/\/+$/, '');
  const query = search.slice(1);
  return {
    origin,
    pathTo: (path) => {
      const own = path.includes('?') ? '&' : '?';
      return query === '' ? `${base}${path}` : `${base}${path}${own}${query}`;
    },
    authorization: username === undefined ? undefined : basicAuth(username, password ?? ''),
  };
}
