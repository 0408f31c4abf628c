import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { int, readConfig } from '../../services/core/config.ts';
import { seededRandom } from '../../services/core/random.ts';
import { type ApiFaults, NO_FAULTS } from './api/faults.ts';
import { LoadApi } from './api/load-api.ts';

/**
 * The NLP API of load runs as a process: prints `{"url":…,"control_url":…}` once it listens, on free ports of
 * 127.0.0.1. The control port: `GET /stats`, `GET /book`, `POST /reset?messages=N`, `PUT /faults`, `DELETE /faults`.
 */
const config = readConfig(
  {
    API_MIN_DELAY_MS: int({ default: 150, min: 1, max: 2_000, doc: 'Shortest delay of an answer' }),
    API_MAX_DELAY_MS: int({ default: 250, min: 1, max: 2_000, doc: 'Longest delay of an answer' }),
    API_SEED: int({ default: 1, min: 0, max: 2 ** 32 - 1, doc: 'Repeats delays and faults' }),
  },
  process.env,
);
const api = new LoadApi({
  minDelayMs: config.API_MIN_DELAY_MS,
  maxDelayMs: config.API_MAX_DELAY_MS,
  random: seededRandom(config.API_SEED),
});

async function answer(request: IncomingMessage): Promise<Buffer | object> {
  const url = new URL(request.url ?? '/', 'http://control');
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /stats':
      return api.stats;
    case 'GET /book':
      return api.book.toBuffer();
    case 'POST /reset':
      api.reset(Number(url.searchParams.get('messages')));
      return {};
    case 'PUT /faults':
      await api.setFaults({ ...NO_FAULTS, ...(JSON.parse((await buffer(request)).toString()) as Partial<ApiFaults>) });
      return {};
    case 'DELETE /faults':
      await api.setFaults(NO_FAULTS);
      return {};
    default:
      throw new Error('no such route');
  }
}

const control = createServer((request, response: ServerResponse) => {
  answer(request).then(
    (body) => response.end(Buffer.isBuffer(body) ? body : JSON.stringify(body)),
    (error: unknown) => response.writeHead(400).end(String(error)),
  );
});
await api.listen();
control.listen(0, '127.0.0.1');
await once(control, 'listening');
const { port } = control.address() as AddressInfo;
process.once('SIGTERM', () => process.exit());
process.stdout.write(
  `${JSON.stringify({ url: `http://127.0.0.1:${api.port}`, control_url: `http://127.0.0.1:${port}` })}\n`,
);
