import { connect } from 'node:net';
import { readInstanceFiles } from '../../platform/instance-file.ts';
import type { Probe } from './part.ts';

const API_VERSIONS = 18;
const CORRELATION_ID = 7;

/** ApiVersions v0 with a null client id: the smallest request that a broker answers, before any authentication. */
function apiVersionsRequest(): Buffer {
  const request = Buffer.alloc(14);
  request.writeInt32BE(request.length - 4, 0);
  request.writeInt16BE(API_VERSIONS, 4);
  request.writeInt16BE(0, 6);
  request.writeInt32BE(CORRELATION_ID, 8);
  request.writeInt16BE(-1, 12);
  return request;
}

function askBroker(broker: string, signal: AbortSignal): Promise<void> {
  const [host, port] = [broker.slice(0, broker.lastIndexOf(':')), Number(broker.slice(broker.lastIndexOf(':') + 1))];
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    let received = Buffer.alloc(0);
    socket.once('connect', () => socket.write(apiVersionsRequest()));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 8) return;
      if (received.readInt32BE(4) === CORRELATION_ID) resolve();
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`${broker} closed the connection without an answer`)));
  });
}

/** Ready when one of the brokers answers: KRaft opens the listener for requests only once the broker is unfenced. */
export const kafkaProbe =
  (brokers: readonly string[]): Probe =>
  async ({ signal }) => {
    await Promise.any(brokers.map((broker) => askBroker(broker, signal))).catch((error: AggregateError) => {
      throw error.errors[0];
    });
  };

/** Ready when the URL answers with a 2xx. Credentials in it are sent as basic auth. */
export const httpProbe = (address: string): Probe => {
  const target = new URL(address);
  const headers: Record<string, string> = {};
  if (target.username !== '') {
    const [user, password] = [decodeURIComponent(target.username), decodeURIComponent(target.password)];
    headers['authorization'] = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    target.username = '';
    target.password = '';
  }
  return async ({ signal }) => {
    const response = await fetch(target, { signal, headers });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`${target.origin}${target.pathname} answers ${response.status}`);
  };
};

/** Ready when the service has written its instance file to `runDir` and its `/readyz` answers 200. */
export const serviceProbe =
  (runDir: string): Probe =>
  async (target) => {
    const instance = (await readInstanceFiles(runDir)).find(({ pid }) => pid === target.pid);
    if (!instance) throw new Error('it has not come up yet');
    const response = await fetch(`${instance.admin_url}/readyz`, { signal: target.signal });
    if (!response.ok) throw new Error(`/readyz answers ${response.status}: ${(await response.text()).trim()}`);
    await response.body?.cancel();
  };
