import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../core/errors.ts';
import type { Metrics } from './metrics.ts';

/** A dependency's check: resolves with what is known about it (its version, say), rejects when it is not usable. */
export type Check = (signal: AbortSignal) => Promise<{ version?: string; note?: string }>;
export type Checks = Readonly<Record<string, Check>>;
/** A service's own route on its admin port; the key is `METHOD /path`. */
export type AdminRoutes = Readonly<
  Record<string, (request: IncomingMessage, response: ServerResponse) => void | Promise<void>>
>;

export interface CheckResult {
  readonly state: 'up' | 'down';
  readonly latency_ms: number;
  readonly version?: string;
  /** What to know of it while it is up. */
  readonly note?: string;
  readonly error?: string;
  /** False where a service stays ready without this dependency, as it needs it for few messages or can do without. */
  readonly gates?: false;
}

const CHECK_TIMEOUT_MS = 2_000;

export interface AdminServerOptions {
  /** Exactly this port, or an error; see {@link fallbackToFreePort}. */
  readonly port: number;
  /** Take any free port when `port` is taken: for further instances of a service on one machine. */
  readonly fallbackToFreePort: boolean;
  readonly host?: string;
  readonly metrics: Metrics;
  readonly checks: Checks;
  /** Reported like {@link checks}, and the service is ready whatever they find: it works without, or its way around. */
  readonly advisory?: Checks | undefined;
  /** Not ready while this is false, whatever the checks say: starting, draining. */
  readonly accepting: () => boolean;
  readonly routes?: AdminRoutes;
  /** What `/metrics` answers; by default the registry's own text. */
  readonly scrape?: () => Promise<string>;
}

export async function runCheck(check: Check): Promise<CheckResult> {
  const started = performance.now();
  const elapsed = () => Math.round((performance.now() - started) * 10) / 10;
  const signal = AbortSignal.timeout(CHECK_TIMEOUT_MS);
  const timedOut = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`)), {
      once: true,
    });
  });
  try {
    const { version, note } = await Promise.race([check(signal), timedOut]);
    return { state: 'up', latency_ms: elapsed(), ...(version && { version }), ...(note && { note }) };
  } catch (error) {
    return { state: 'down', latency_ms: elapsed(), error: messageOf(error) };
  }
}

/** Runs all checks side by side, each bounded by 2 s. */
async function runChecks(checks: Checks): Promise<Record<string, CheckResult>> {
  const entries = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check)] as const),
  );
  return Object.fromEntries(entries);
}

interface Readiness {
  readonly ready: boolean;
  readonly dependencies: Readonly<Record<string, CheckResult>>;
}

async function readiness({ checks, advisory = {}, accepting }: AdminServerOptions): Promise<Readiness> {
  const [required, others] = await Promise.all([runChecks(checks), runChecks(advisory)]);
  const reported = Object.entries(others).map(
    ([name, result]) => [name, { ...result, gates: false as const }] as const,
  );
  return {
    ready: accepting() && Object.values(required).every(({ state }) => state === 'up'),
    dependencies: { ...required, ...Object.fromEntries(reported) },
  };
}

/** What `/readyz` says, for those who read only metrics; checked at each scrape, in at most 2 s. */
function exportReadiness(options: AdminServerOptions): void {
  const { metrics } = options;
  let underWay: Promise<Readiness> | undefined;
  // Both gauges are collected in the same turn: they share one round of checks.
  const found = () => {
    underWay ??= readiness(options).finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
  metrics.gauge('parley_ready', '1 while /readyz says ready', [], async (gauge) => {
    gauge.set((await found()).ready ? 1 : 0);
  });
  metrics.gauge('parley_dependency_up', '1 while a dependency is usable', ['dependency'], async (gauge) => {
    for (const [dependency, { state }] of Object.entries((await found()).dependencies)) {
      gauge.set({ dependency }, state === 'up' ? 1 : 0);
    }
  });
}

const json = (response: ServerResponse, status: number, body: unknown) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/**
 * `/healthz` (alive), `/readyz` (dependencies, each with state, latency and version) and `/metrics`; on loopback unless
 * another host is given.
 */
export class AdminServer {
  readonly #server: Server;
  readonly port: number;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(options: AdminServerOptions): Promise<AdminServer> {
    const server = createServer((request, response) => void answer(options, request, response));
    const host = options.host ?? '127.0.0.1';
    try {
      await listen(server, options.port, host);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || !options.fallbackToFreePort) throw error;
      await listen(server, 0, host);
    }
    exportReadiness(options);
    return new AdminServer(server);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function answer(options: AdminServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0];
  try {
    switch (path) {
      case '/healthz':
        json(response, 200, { alive: true });
        return;
      case '/readyz': {
        const found = await readiness(options);
        json(response, found.ready ? 200 : 503, found);
        return;
      }
      case '/metrics':
        response
          .writeHead(200, { 'content-type': options.metrics.registry.contentType })
          .end(await (options.scrape ?? (() => options.metrics.registry.metrics()))());
        return;
      default: {
        const route = options.routes?.[`${request.method} ${path}`];
        if (route) await route(request, response);
        else json(response, 404, { error: `no ${request.method} ${path} here; there are /healthz, /readyz, /metrics` });
      }
    }
  } catch (error) {
    if (response.headersSent) response.destroy();
    else json(response, 500, { error: messageOf(error) });
  }
}
