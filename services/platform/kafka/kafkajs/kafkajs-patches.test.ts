import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, describe, expect, it } from '@jest/globals';
import { applyKafkajsPatches } from './kafkajs-patches.ts';

const require = createRequire(import.meta.url);
applyKafkajsPatches();

const noLog = () => ({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, namespace: noLog });

describe('patched kafkajs', () => {
  const sockets: Socket[] = [];
  const servers: Server[] = [];
  const server = createServer((socket) => sockets.push(socket));

  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    for (const each of servers) each.close();
  });

  it('TimeoutNegativeWarning: no timer stands while nothing is pending', () => {
    const RequestQueue = require('kafkajs/src/network/requestQueue');
    const queue = new RequestQueue({
      maxInFlightRequests: 1,
      requestTimeout: 1_000,
      enforceRequestTimeout: false,
      clientId: 't',
      broker: 'b',
      logger: noLog(),
    });
    queue.checkPendingRequests();
    expect(queue.throttleCheckTimeoutId).toBeNull();
    queue.throttledUntil = Date.now() + 60_000;
    queue.push({ entry: { correlationId: 1 }, expectResponse: true, sendRequest: () => {} });
    expect(queue.throttleCheckTimeoutId).not.toBeNull();
    queue.destroy();
    expect(queue.throttleCheckTimeoutId).toBeNull();
  });

  it('requests that meet a dropped connection at once open one socket, not one each', async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const Connection = require('kafkajs/src/network/connection');
    const createSocketFactory = require('kafkajs/src/network/socketFactory');
    const { port } = server.address() as AddressInfo;
    const connection = new Connection({
      host: '127.0.0.1',
      port,
      logger: noLog(),
      socketFactory: createSocketFactory(),
      connectionTimeout: 2_000,
      requestTimeout: 1_000,
      clientId: 't',
    });
    await Promise.all([connection.connect(), connection.connect(), connection.connect()]);
    await connection.connect();
    expect(sockets).toHaveLength(1);
    await connection.disconnect();
  });

  it('a request without an answer ends its connection, and all that wait on it fail at once', async () => {
    const silent = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const Connection = require('kafkajs/src/network/connection');
    const createSocketFactory = require('kafkajs/src/network/socketFactory');
    const connection = new Connection({
      host: '127.0.0.1',
      port: (silent.address() as AddressInfo).port,
      logger: noLog(),
      socketFactory: createSocketFactory(),
      connectionTimeout: 2_000,
      requestTimeout: 200,
      clientId: 't',
    });
    servers.push(silent);
    await connection.connect();
    const ask = (requestTimeout: number) => {
      const request = {
        apiKey: 3,
        apiName: 'Metadata',
        apiVersion: 0,
        encode: async () => ({ buf: Buffer.alloc(4), buffer: Buffer.alloc(4) }),
      };
      return connection.send({ request, response: {}, requestTimeout }).then(
        () => 'answered',
        (error: Error) => error.name,
      );
    };
    // The second would wait for a minute.
    expect(await Promise.all([ask(200), ask(60_000)])).toEqual([
      'KafkaJSRequestTimeoutError',
      'KafkaJSConnectionError',
    ]);
    expect(connection.isConnected()).toBe(false);
  });
});
