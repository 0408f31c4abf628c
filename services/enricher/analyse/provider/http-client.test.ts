import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { HttpClient } from './http-client.ts';

let server: Server | undefined;
let client: HttpClient | undefined;
afterEach(async () => {
  await client?.close();
  server?.closeAllConnections();
  server?.close();
});

async function clientOf(listener: RequestListener): Promise<HttpClient> {
  server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = new HttpClient({ origin, connections: 10, connectTimeoutMs: 10_000, headers: { 'x-common': 'yes' } });
  return client;
}

/** So many requests, each made from within the end of the one before. @returns the bodies of the responses. */
function chain(http: HttpClient, length: number): Promise<string[]> {
  const bodies: string[] = [];
  return new Promise((resolve, reject) => {
    const next = () => {
      const received = ({ body }: { body: string }) => {
        bodies.push(body);
        if (bodies.length === length) resolve(bodies);
        else next();
      };
      http.post('/', `request ${bodies.length}`, { received, failed: reject });
    };
    next();
  });
}

describe('a request made from within the end of another', () => {
  it('goes out on the same connection', async () => {
    const ports = new Set<number | undefined>();
    const http = await clientOf(({ socket, headers }, response) => {
      ports.add(socket.remotePort);
      response.end(String(headers['x-common']));
    });
    expect(await chain(http, 20)).toEqual(Array(20).fill('yes'));
    expect(ports.size).toBe(1);
  });

  it('goes out on another one where the server closes the first', async () => {
    const ports = new Set<number | undefined>();
    const http = await clientOf(({ socket }, response) => {
      ports.add(socket.remotePort);
      response.setHeader('connection', 'close').end('closed');
    });
    expect(await chain(http, 5)).toEqual(Array(5).fill('closed'));
    expect(ports.size).toBe(5);
  });
});

it('tells of a server that breaks off, and goes on', async () => {
  let requests = 0;
  const http = await clientOf(({ socket }, response) => {
    if (++requests === 1) socket.destroy();
    else response.end('well');
  });
  await expect(chain(http, 1)).rejects.toMatchObject({ failure: 'failed', cause_code: 'connection' });
  expect(await chain(http, 2)).toEqual(['well', 'well']);
});
