import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseDuration } from '../core/duration.ts';
import type { AdminRoutes } from '../platform/admin-server.ts';
import type { GoawayRequest, Selector } from './session/session-control.ts';

/** How many sessions a command reached, and how many processes gave no answer. */
export interface CommandOutcome {
  readonly sessions: number;
  readonly unanswered: number;
}

/** What an operator may do to open sessions, in all processes of this gateway. */
export interface SessionCommands {
  readonly disconnect: (selector: Selector) => Promise<CommandOutcome>;
  readonly sendAway: (request: GoawayRequest) => Promise<CommandOutcome>;
}

const SELECTORS = ['tenant', 'bot', 'token'] as const;
const DEFAULT_OVER = '10s';
/** A goaway is a timer a session. */
const MAX_OVER_MS = 600_000;

class BadCommand extends Error {
  override readonly name = 'BadCommand';
}

function queryOf({ url = '' }: IncomingMessage, allowed: readonly string[]): URLSearchParams {
  const at = url.indexOf('?');
  const query = new URLSearchParams(at < 0 ? '' : url.slice(at));
  for (const name of query.keys()) {
    if (!allowed.includes(name)) throw new BadCommand(`there is no ${name} here; allowed are ${allowed.join(', ')}`);
  }
  return query;
}

const selectorOf = (query: URLSearchParams): Selector =>
  Object.fromEntries(SELECTORS.flatMap((name) => (query.has(name) ? [[name, query.get(name)]] : [])));

function readDisconnect(request: IncomingMessage): Selector {
  const selector = selectorOf(queryOf(request, SELECTORS));
  if (Object.keys(selector).length > 0) return selector;
  throw new BadCommand(`which sessions? Give one or more of ${SELECTORS.join(', ')}`);
}

function readGoaway(request: IncomingMessage): GoawayRequest {
  const query = queryOf(request, ['share', 'over', ...SELECTORS]);
  const [given, over] = [query.get('share') ?? '', query.get('over') ?? DEFAULT_OVER];
  const share = /^\d*\.?\d+$/.test(given) ? Number(given) : Number.NaN;
  if (!(share > 0 && share <= 1)) throw new BadCommand(`share is "${given}"; allowed is a number above 0, 1 at most`);
  const overMs = parseDuration(over);
  if (overMs === undefined || overMs > MAX_OVER_MS) {
    throw new BadCommand(`over is "${over}"; allowed is a duration such as 30s, 10m at most`);
  }
  return { ...selectorOf(query), share, overMs };
}

const answer = (response: ServerResponse, status: number, body: object): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
};

const route =
  <Request>(read: (request: IncomingMessage) => Request, run: (request: Request) => Promise<CommandOutcome>) =>
  async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      answer(response, 200, await run(read(request)));
    } catch (error) {
      if (!(error instanceof BadCommand)) throw error;
      answer(response, 400, { error: error.message });
    }
  };

/** `POST /disconnect?tenant=&bot=&token=` and `POST /goaway?share=0.25&over=30s` on the admin port. */
export const adminRoutes = ({ disconnect, sendAway }: SessionCommands): AdminRoutes => ({
  'POST /disconnect': route(readDisconnect, disconnect),
  'POST /goaway': route(readGoaway, sendAway),
});
