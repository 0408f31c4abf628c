import type { IncomingMessage, ServerResponse } from 'node:http';

export interface GuardOptions {
  /** Host names by which this endpoint may be called, beside those of the loopback interface. */
  readonly allowedHosts: readonly string[];
  /** Origins (`https://dash.example.org`) whose pages may call, beside those of the loopback interface. */
  readonly allowedOrigins: readonly string[];
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
/** A name or address, and a port: no user, no path. */
const HOST = /^(\[[\da-f:.]+\]|[^\s:@/?#[\]]+)(?::\d{1,5})?$/i;
/** What a page may read of an answer. */
// biome-ignore format: one line a handful
const EXPOSED_HEADERS = [
  'X-ClickHouse-Query-Id', 'X-ClickHouse-Summary', 'X-ClickHouse-Server-Display-Name', 'X-ClickHouse-Format',
  'X-ClickHouse-Timezone', 'X-ClickHouse-Exception-Code', 'X-ClickHouse-Exception-Tag',
].join(', ');
const PREFLIGHT_MAX_AGE_S = 600;
const MAX_ECHOED_HEADERS = 1_024;

/**
 * The default user has no password, so whoever may talk to this process matters: a page of another site in a browser of
 * this machine must not get here, neither by its own origin nor by a name of its own that was bound to 127.0.0.1.
 */
export class HttpGuard {
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;

  constructor({ allowedHosts, allowedOrigins }: GuardOptions) {
    this.#hosts = new Set(allowedHosts.map((host) => host.toLowerCase()));
    this.#origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase()));
  }

  /** The request's path and parameters; undefined for a target that is no path (`*`, `http://…`). */
  static target(request: IncomingMessage): URL | undefined {
    const target = request.url ?? '';
    // A base would take `//host` for a host of its own.
    if (!target.startsWith('/') || !URL.canParse(`http://localhost${target}`)) return undefined;
    return new URL(`http://localhost${target}`);
  }

  /** Why the request is refused, with a status; undefined when it may go on. */
  refusal({ headers }: IncomingMessage): { readonly status: number; readonly text: string } | undefined {
    const host = HOST.exec(headers.host ?? 'localhost')?.[1]?.toLowerCase();
    if (host === undefined || !(LOOPBACK.test(host) || this.#hosts.has(host))) {
      const text = `The host name of this request is not allowed here; add it to CLICKHOUSE_ALLOWED_HOSTS\n`;
      return { status: 421, text };
    }
    const foreign =
      headers.origin === undefined ? headers['sec-fetch-site'] === 'cross-site' : !this.#isHome(headers.origin);
    if (!foreign) return undefined;
    return { status: 403, text: 'Requests of other sites’ pages are refused; see CLICKHOUSE_ALLOWED_ORIGINS\n' };
  }

  #isHome(origin: string): boolean {
    const host = hostOf(origin);
    return host !== undefined && (LOOPBACK.test(host) || this.#origins.has(origin.toLowerCase()));
  }

  /** For a page that was let in: it may read the answer. */
  allowOrigin({ headers }: IncomingMessage, response: ServerResponse): void {
    response.setHeader('Vary', 'Origin');
    if (headers.origin === undefined) return;
    response.setHeader('Access-Control-Allow-Origin', headers.origin);
    response.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS);
  }

  /** Answers `OPTIONS`: what the page may send. */
  preflight({ headers }: IncomingMessage, response: ServerResponse): void {
    const asked = String(headers['access-control-request-headers'] ?? '');
    const echoed = asked.length <= MAX_ECHOED_HEADERS && /^[\w\-, ]*$/.test(asked) ? asked : '';
    response.setHeader('Access-Control-Allow-Methods', 'GET, POST, OPTIONS');
    response.setHeader('Access-Control-Allow-Headers', echoed);
    response.setHeader('Access-Control-Max-Age', PREFLIGHT_MAX_AGE_S);
    if (headers['access-control-request-private-network'] === 'true') {
      response.setHeader('Access-Control-Allow-Private-Network', 'true');
    }
    response.writeHead(204).end();
  }
}

/** The host of a URL in lower case, without its port. */
const hostOf = (url: string): string | undefined => (URL.canParse(url) ? new URL(url).hostname : undefined);
