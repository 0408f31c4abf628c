import type { IncomingMessage } from 'node:http';
import { BlockList, connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { ManualClock } from '../../core/clock.ts';
import { eventually } from '../../core/testing/eventually.ts';
import type { HandshakeCode } from '../../core/wire-codes.ts';
import { Places } from '../limits/connection-places.ts';
import { FrontDoor } from '../testing/front-door.ts';
import { RawBot, refusedHandshake } from '../testing/raw-bot.ts';
import { TokenMaker } from '../testing/tokens.ts';
import { createAuthenticator } from './auth.ts';
import { readHandshake } from './handshake.ts';
import { HandshakeAdmission } from './handshake-admission.ts';
import { HandshakeRefusal } from './handshake-refusal.ts';
import { closeCodeOf } from './refusal-answer.ts';
import { sourceOf } from './source.ts';
import { TrustedProxies } from './trusted-proxies.ts';

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
});

describe('handshakes that fail', () => {
  it('cost their own source alone: junk tokens by the thousand leave half the handshakes to the others', async () => {
    const maker = await TokenMaker.create();
    const clock = new ManualClock();
    const limits = { connections: 1_000, tenantConnections: 1_000, botConnections: 1_000 };
    const admission = new HandshakeAdmission({
      authenticate: createAuthenticator({
        publicKeyPem: maker.publicKeyPem,
        jwksUrl: undefined,
        issuer: 'parley-local',
        audience: 'parley',
        leewayS: 5,
      }),
      allowedOrigins: ['*'],
      proxies: new TrustedProxies(new BlockList()),
      places: new Places(limits),
      placeLimits: limits,
      connectionsPerS: 100,
      failuresPerS: 1,
      clock,
    });
    const socket = new Duplex().setMaxListeners(0);
    const codeOf = async (from: string, token: string) => {
      const headers = { authorization: `Bearer ${token}` };
      const request = { url: '/v1/stream', headers, socket: { remoteAddress: from } } as unknown as IncomingMessage;
      return await admission.admit(request, socket).then(
        () => 'accepted',
        (error: HandshakeRefusal) => error.code,
      );
    };
    const count = async (times: number, from: string, token: string) => {
      const found: Record<string, number> = {};
      for (let i = 0; i < times; i++) {
        const code = await codeOf(from, token);
        found[code] = (found[code] ?? 0) + 1;
      }
      return found;
    };
    // Ten failures are forgiven, then half of a second's handshakes is all that junk can use up.
    expect(await count(2_000, '10.0.0.1', 'junk')).toEqual({ token_invalid: 50, too_many_failed_handshakes: 1_950 });
    const good = await maker.sign();
    expect(await codeOf('10.0.0.1', good)).toBe('too_many_failed_handshakes');
    expect(await count(60, '10.0.0.2', good)).toEqual({ accepted: 50, connection_rate: 10 });
    clock.advance(1_000);
    // Behind a proxy good bots share the address of bad ones: they still come in while there is room.
    expect(await codeOf('10.0.0.1', good)).toBe('accepted');
    socket.destroy();
  });
});

describe('a refusal', () => {
  it('counts against its source unless the gateway’s load or its drain is the cause', () => {
    const counted = (code: HandshakeCode) => new HandshakeRefusal(code, 'why').isFailure;
    expect(
      ['token_invalid', 'not_found', 'role_missing', 'keys_unavailable'].map((code) => counted(code as HandshakeCode)),
    ).toEqual(Array(4).fill(true));
    expect(
      ['connection_rate', 'too_many_connections', 'draining'].map((code) => counted(code as HandshakeCode)),
    ).toEqual(Array(3).fill(false));
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
  it('names at most eight sessions that it continues, none, or does not say', () => {
    const resumes = (query: string) =>
      readHandshake({ url: `/v1/stream${query}`, headers: { authorization: 'Bearer t' } } as IncomingMessage, ['*'])
        .resumes;
    expect([resumes(''), resumes('?insights=true'), resumes('?resume='), resumes('?resume')]).toEqual([
      undefined,
      undefined,
      [],
      [],
    ]);
    expect(resumes(`?insights=1&resume=a,,b%2Cc,${'x'.repeat(65)}`)).toEqual(['a', 'b', 'c']);
    expect(resumes('?resume=1,2,3,4,5,6,7,8,9')).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
  });

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
