import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { eventually } from '../../core/testing/eventually.ts';
import { FrontDoor } from '../testing/front-door.ts';
import { RawBot, refusedHandshake } from '../testing/raw-bot.ts';
import { closeCodeOf } from './refusal-answer.ts';
import { sourceOf } from './source.ts';

const doors: FrontDoor[] = [];
const peers: Socket[] = [];

async function open(...args: Parameters<typeof FrontDoor.open>): Promise<FrontDoor> {
  const door = await FrontDoor.open(...args);
  doors.push(door);
  return door;
}

/** A peer that never closes its end, whatever the server does. */
function peer(door: FrontDoor, request: string, from = '127.0.0.1'): { socket: Socket; answer: () => string } {
  const socket = connect({ port: door.server.port, host: '127.0.0.1', localAddress: from, allowHalfOpen: true });
  peers.push(socket);
  let text = '';
  socket
    .on('error', () => {})
    .on('data', (chunk) => {
      text += chunk;
    });
  socket.write(request);
  return { socket, answer: () => text };
}

const upgrade = (token?: string) =>
  [
    'GET /v1/stream HTTP/1.1',
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    '\r\n',
  ].join('\r\n');

afterEach(async () => {
  for (const socket of peers.splice(0)) socket.destroy();
  await Promise.all(doors.splice(0).map((door) => door.server.drain()));
});

describe('a refused handshake', () => {
  it('gives its socket back although its peer never closes, and does not hold up the drain', async () => {
    const door = await open({ DRAIN_TIMEOUT_MS: '1000' }, { maxSockets: 20 });
    const refuse = async () => {
      const refused = Array.from({ length: 20 }, () => peer(door, upgrade()));
      await eventually(() => {
        for (const { answer } of refused.slice(-5)) expect(answer()).toMatch(/^HTTP\/1.1 401 /);
      });
    };
    await refuse();
    const token = await door.maker.sign();
    const bot = await eventually(() => RawBot.open(door.url, token));
    bot.end();
    await refuse();
    await door.server.drain();
  });

  it('of a browser is accepted and closed with a code of its own, since pages cannot see the status', async () => {
    const door = await open({ ALLOWED_ORIGINS: 'https://chat.example.com' }, {});
    const closeOf = async (token: string, origin: string) => {
      const socket = new WebSocket(door.url, ['parley.v1', `bearer.${token}`], { origin });
      const frames: string[] = [];
      socket.on('message', (data) => frames.push(String(data)));
      const [code, reason] = await new Promise<[number, string]>((resolve) => {
        socket.on('close', (...[closeCode, why]) => resolve([closeCode, String(why)]));
      });
      return [code, reason, JSON.parse(frames[0] ?? '{}').code];
    };
    const home = 'https://chat.example.com';
    expect(await closeOf('no.token.at-all', home)).toEqual([4004, 'token_invalid', 'token_invalid']);
    const expired = await door.maker.sign({ expiresInS: -60 });
    expect(await closeOf(expired, home)).toEqual([4001, 'token_expired', 'token_expired']);
    const analyst = await door.maker.sign({ roles: ['analyst'] });
    expect(await closeOf(analyst, home)).toEqual([4003, 'role_missing', 'role_missing']);
    const good = await door.maker.sign();
    expect(await closeOf(good, 'https://evil.example.com')).toEqual([4003, 'origin_forbidden', 'origin_forbidden']);
    expect(door.server.connections).toBe(0);
    expect(closeCodeOf('too_many_connections')).toBe(4103);
  });

  it('costs its own source alone: junk tokens by the thousand leave room for the others', async () => {
    const door = await open({ CONNECTIONS_PER_S: '40', FAILED_HANDSHAKES_PER_S: '1' }, {});
    const junk = Array.from({ length: 200 }, () => peer(door, upgrade('junk'), '127.0.0.2'));
    await eventually(() => {
      for (const { answer } of junk) expect(answer()).toMatch(/^HTTP\/1.1 (401|429) /);
    });
    expect(junk.filter(({ answer }) => answer().includes('too_many_failed_handshakes')).length).toBeGreaterThan(100);
    const token = await door.maker.sign();
    const bots = await Promise.all(Array.from({ length: 15 }, () => RawBot.open(door.url, token)));
    expect(door.server.connections).toBe(15);
    for (const bot of bots) bot.end();
  });
});

describe('sockets without a session', () => {
  it('are bounded: the source with the most of them loses its oldest', async () => {
    const door = await open({}, { maxSockets: 20 });
    const modest = peer(door, 'GET /v1/stream HTTP/1.1\r\n', '127.0.0.3');
    await eventually(async () => expect(modest.socket.readyState).toBe('open'));
    const many = Array.from({ length: 12 }, () => peer(door, 'GET /v1/stream HTTP/1.1\r\n', '127.0.0.2').socket);
    let ended = 0;
    for (const socket of many) socket.on('close', () => (ended += 1)).on('end', () => socket.destroy());
    await eventually(() => expect(ended).toBe(8));
    expect(modest.socket.readyState).toBe('open');
    expect(await door.metrics).toMatch(/parley_gateway_handshakes_total\{result="dropped",.*\} 8\n/);
    const bot = await RawBot.open(door.url, await door.maker.sign());
    bot.end();
  });
});

describe('a handshake', () => {
  it('may end its path with a slash, say insights=1, and bring any Origin beside a bearer header', async () => {
    const door = await open({ ALLOWED_ORIGINS: 'https://chat.example.com' }, {});
    const token = await door.maker.sign();
    const bot = await RawBot.open(`${door.url}/?insights=1`, token, { origin: 'http://127.0.0.1' });
    expect(bot.frames[0]).toMatchObject({ type: 'welcome', insights: true });
    bot.end();
    const elsewhere = await refusedHandshake(`${door.url}//`, { headers: { authorization: `Bearer ${token}` } });
    expect(elsewhere.status).toBe(404);
  });
});

describe('the source of a connection', () => {
  it.each([
    ['10.1.2.3', '10.1.2.3'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['2001:DB8:0:1:a:b:c:d', '2001:db8:0:1'],
    ['2001:db8:0:1::7', '2001:db8:0:1'],
    ['2001:db8::7', '2001:db8:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['::1', '0:0:0:0'],
    [undefined, 'unknown'],
  ])('of %s is %s', (address, source) => {
    expect(sourceOf(address)).toBe(source);
  });
});
