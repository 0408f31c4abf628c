import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { generate } from 'selfsigned';
import { WebSocket } from 'ws';
import { eventually } from '../../core/testing/eventually.ts';
import { FrontDoor } from '../testing/front-door.ts';

let folder: string;
const doors: FrontDoor[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-front-'));
});
afterEach(async () => {
  await Promise.all(doors.splice(0).map((door) => door.server.drain()));
  await rm(folder, { recursive: true, force: true });
});

async function openDoor(env: Record<string, string>): Promise<FrontDoor> {
  const door = await FrontDoor.open({ DRAIN_TIMEOUT_MS: '500', HANDSHAKE_TIMEOUT_MS: '2000', ...env });
  doors.push(door);
  return door;
}

const message = { type: 'message', id: 'm', conversation_id: 'c', speaker: 'user', text: 'Hi', sent_at: Date.now() };

/** Sends a message over a WebSocket and waits for its ack. @returns the certificate's name where there is one */
async function chat(door: FrontDoor, options: object): Promise<string | undefined> {
  const url = door.url.replace(/^ws/, 'ca' in options ? 'wss' : 'ws');
  const socket = new WebSocket(url, 'parley.v1', {
    headers: { authorization: `Bearer ${await door.maker.sign()}` },
    ...options,
  });
  try {
    return await new Promise((resolve, reject) => {
      let name: string | undefined;
      socket.on('upgrade', ({ socket: raw }) => {
        const { CN } = (raw as TLSSocket).getPeerCertificate?.()?.subject ?? {};
        name = typeof CN === 'string' ? CN : undefined;
      });
      socket.on('error', reject);
      socket.on('open', () => socket.send(JSON.stringify(message)));
      socket.on('message', (data) => {
        if (String(data).includes('"ack"')) resolve(name);
      });
    });
  } finally {
    socket.terminate();
  }
}

/** A whole answer to what is written first, or what comes before the connection is cut. */
function exchange(door: FrontDoor, ...parts: (string | Buffer)[]): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(door.server.port, '127.0.0.1', async () => {
      for (const part of parts) {
        socket.write(part);
        await new Promise((next) => setImmediate(next));
      }
    });
    socket.setNoDelay(true);
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

describe('the PROXY protocol', () => {
  const env = { PROXY_PROTOCOL: 'on', TRUSTED_PROXIES: '127.0.0.0/8' };
  const get = 'GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';
  const behind = (source: string) => `PROXY TCP4 ${source} 10.0.0.1 4711 80\r\n`;

  it('is read in whatever pieces it comes, and the request behind it is answered', async () => {
    const door = await openDoor(env);
    const header = behind('192.0.2.7');
    expect(await exchange(door, header + get)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await exchange(door, header.slice(0, 9), header.slice(9), get)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await exchange(door, ...header, get)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await exchange(door, 'PROXY UNKNOWN\r\n', get)).toMatch(/^HTTP\/1\.1 200 /);
    await chat(door, {
      createConnection: () => {
        const socket = connect(door.server.port, '127.0.0.1');
        socket.write(header);
        return socket;
      },
    });
    await eventually(() => expect(door.server.connections).toBe(0));
  });

  it('gives each client its own budget of failures', async () => {
    const door = await openDoor({ ...env, FAILED_HANDSHAKES_PER_S: '1', CONNECTIONS_PER_S: '40' });
    const bad = 'GET /v1/check HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\nconnection: close\r\n\r\n';
    const codes = async (source: string, times: number) =>
      (await Promise.all(Array.from({ length: times }, () => exchange(door, behind(source) + bad)))).map((text) =>
        text.slice(9, 12),
      );
    expect(await codes('192.0.2.7', 60)).toContain('429');
    expect(await codes('192.0.2.8', 1)).toEqual(['401']);
  });

  it.each([
    ['without a header', get],
    ['with half of one', 'PROXY TCP4 192.0.2.7 10.'],
  ])('cuts a connection %s', async (_, bytes) => {
    const door = await openDoor(env);
    expect(await exchange(door, bytes)).toBe('');
    expect(await door.metrics).toMatch(/handshakes_total\{result="dropped".*\} 1\n/);
  });

  it('leaves the bounds of a request as they are: a body that never ends is cut', async () => {
    const door = await openDoor({ ...env, HANDSHAKE_TIMEOUT_MS: '500' });
    const head = `POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${await door.maker.sign()}\r\n`;
    const answer = await exchange(door, `${behind('192.0.2.7')}${head}content-length: 100\r\n\r\n{`);
    expect(answer).toMatch(/^HTTP\/1\.1 4/);
  });

  it('is taken from trusted proxies alone', async () => {
    const door = await openDoor({ ...env, TRUSTED_PROXIES: '10.0.0.0/8' });
    expect(await exchange(door, behind('192.0.2.7') + get)).toBe('');
    await expect(openDoor({ ...env, TRUSTED_PROXIES: '' })).rejects.toThrow(/TRUSTED_PROXIES is empty/);
  });
});

describe('TLS', () => {
  const certificate = async (name: string) => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
    });
    return { cert, key };
  };
  const files = () => ({ GATEWAY_TLS_CERT: join(folder, 'cert.pem'), GATEWAY_TLS_KEY: join(folder, 'key.pem') });
  const put = async ({ cert, key }: { cert: string; key: string }) => {
    for (const [path, text] of [
      [files().GATEWAY_TLS_CERT, cert],
      [files().GATEWAY_TLS_KEY, key],
    ] as const) {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    }
  };

  it('is spoken with the certificate of the files, and with their next one once they are exchanged', async () => {
    const [first, second] = [await certificate('first'), await certificate('second')];
    await put(first);
    const door = await openDoor(files());
    expect(await chat(door, { ca: first.cert })).toBe('first');
    await expect(chat(door, { ca: second.cert })).rejects.toThrow(/self-signed|unable to verify/);
    // A key that is not the certificate's, as between the exchange of the two files, changes nothing.
    await put({ cert: second.cert, key: first.key });
    await eventually(async () => expect(await chat(door, { ca: first.cert })).toBe('first'));
    await put(second);
    await eventually(async () => expect(await chat(door, { ca: second.cert })).toBe('second'));
  });

  it('is spoken behind the PROXY protocol too', async () => {
    const { cert, key } = await certificate('both');
    await put({ cert, key });
    const door = await openDoor({ ...files(), PROXY_PROTOCOL: 'on', TRUSTED_PROXIES: '127.0.0.1' });
    const name = await chat(door, {
      ca: cert,
      createConnection: (options: ConnectionOptions) => {
        const raw = connect(door.server.port, '127.0.0.1');
        raw.write('PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n');
        return connectTls({ ...options, ca: cert, host: '127.0.0.1', socket: raw });
      },
    });
    expect(name).toBe('both');
  });

  it('is not spoken to who says something else or nothing: such connections are cut', async () => {
    await put(await certificate('x'));
    const door = await openDoor(files());
    expect(await exchange(door, 'GET /healthz HTTP/1.1\r\n\r\n')).not.toContain('200');
    expect(await exchange(door, '')).toBe('');
    expect(await door.metrics).toMatch(/handshakes_total\{result="dropped".*\} [12]\n/);
  });

  it('is wrong usage with half of its files, or with a key of another certificate', async () => {
    const [first, second] = [await certificate('first'), await certificate('second')];
    await put({ cert: first.cert, key: second.key });
    await expect(openDoor(files())).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(openDoor({ GATEWAY_TLS_CERT: files().GATEWAY_TLS_CERT })).rejects.toThrow(/belong together/);
  });
});
