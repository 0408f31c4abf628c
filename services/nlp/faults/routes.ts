import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FaultInjector } from './injector.ts';
import { parseFaults } from './settings.ts';

const MAX_SETTINGS_BYTES = 65_536;

async function readText(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_SETTINGS_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** `GET`, `PUT` and `DELETE /faults` for the admin port. `PUT` replaces all settings. */
export function faultRoutes(injector: FaultInjector) {
  const answer = (response: ServerResponse, status: number, body: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
  };
  return {
    'GET /faults': (_request: IncomingMessage, response: ServerResponse) => answer(response, 200, injector.state),
    'DELETE /faults': (_request: IncomingMessage, response: ServerResponse) => {
      injector.clear();
      answer(response, 200, injector.state);
    },
    'PUT /faults': async (request: IncomingMessage, response: ServerResponse) => {
      const text = await readText(request);
      const parsed =
        text === undefined
          ? { ok: false as const, message: `the faults exceed ${MAX_SETTINGS_BYTES} bytes` }
          : parseFaults(text);
      if (!parsed.ok) return answer(response, 400, { code: 'invalid_faults', message: parsed.message });
      injector.set(parsed.settings);
      answer(response, 200, injector.state);
    },
  };
}
