import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AdminRoutes } from '../../platform/admin-server.ts';
import type { Logger } from '../../platform/logger.ts';
import type { StormGuard } from './storm-guard.ts';

const DEFAULT_GRACE_MS = 600_000;
const MAX_GRACE_MS = 86_400_000;

const json = (response: ServerResponse, status: number, body: object) =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);

/**
 * `GET /storm` shows the storm guard, `POST /storm/release?for_ms=600000` releases it.
 *
 * Who reaches the admin port may release: it is loopback unless an operator says otherwise, it needs no secret for
 * /metrics either, and the worst that a release does (failures become dead letters for a while) is repaired by
 * `parley replay`. Web pages may not, whatever browser they run in: these send an Origin with every POST.
 */
export function stormRoutes(storm: StormGuard, log: Logger): AdminRoutes {
  const show = () => ({ state: storm.state, held: storm.held });
  return {
    'GET /storm': (_request, response) => json(response, 200, show()),
    'POST /storm/release': (request, response) => {
      if (request.headers.origin !== undefined) {
        return json(response, 403, { error: 'not for web pages: use parley dlq release' });
      }
      const graceMs = graceOf(request);
      if (graceMs === undefined) {
        return json(response, 400, { error: `for_ms must be an integer from 0 to ${MAX_GRACE_MS}` });
      }
      const { state } = storm;
      const released = storm.releaseFor(graceMs);
      log.warn({ state, released, grace_ms: graceMs }, 'storm guard: an operator released it');
      json(response, 200, { was: state, released, grace_ms: graceMs });
    },
  };
}

function graceOf({ url }: IncomingMessage): number | undefined {
  const given = new URL(url ?? '/', 'http://admin').searchParams.get('for_ms');
  if (given === null) return DEFAULT_GRACE_MS;
  const graceMs = /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN;
  return graceMs <= MAX_GRACE_MS ? graceMs : undefined;
}
