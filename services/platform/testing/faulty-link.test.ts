import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { FaultyLink } from './faulty-link.ts';

let server: Server;
/** What the server was asked. */
let asked: string[];
let link: FaultyLink;
const clients: Caller[] = [];

/** A client that asks and remembers what it hears. */
class Caller {
  heard = '';
  closed = false;
  readonly socket: Socket;

  constructor(address: string) {
    this.socket = connect(Number(address.split(':')[1]), '127.0.0.1');
    this.socket.on('data', (chunk) => {
      this.heard += chunk;
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    clients.push(this);
  }

  ask(text: string): void {
    this.socket.write(text);
  }
}

beforeEach(async () => {
  asked = [];
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      asked.push(String(chunk));
      socket.write(`[${chunk}]`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  link = await FaultyLink.start(`127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.destroy();
  await link.stop();
  await new Promise((resolve) => server.close(resolve));
});

const heard = (caller: Caller, text: string) => eventually(() => expect(caller.heard).toBe(text));

describe('a faulty link', () => {
  it('passes both ways, and the end of a stream too', async () => {
    const caller = new Caller(link.address);
    caller.ask('a');
    await heard(caller, '[a]');
    caller.socket.end();
    await eventually(() => expect(caller.closed).toBe(true));
  });

  it('cuts what is open and what is tried, until it is opened', async () => {
    const before = new Caller(link.address);
    before.ask('a');
    await heard(before, '[a]');
    link.cut();
    const during = new Caller(link.address);
    during.ask('b');
    await eventually(() => expect([before.closed, during.closed]).toEqual([true, true]));
    link.open();
    const after = new Caller(link.address);
    after.ask('c');
    await heard(after, '[c]');
    expect(asked).toEqual(['a', 'c']);
  });

  it('is silent with every connection open, and delivers late', async () => {
    const before = new Caller(link.address);
    before.ask('a');
    await heard(before, '[a]');
    link.silence();
    const during = new Caller(link.address);
    await once(during.socket, 'connect');
    before.ask('b');
    during.ask('c');
    // A further connection past the link shows that the server itself is well.
    const past = new Caller(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    past.ask('d');
    await heard(past, '[d]');
    expect([asked, before.heard, before.closed, during.heard, during.closed]).toEqual([
      ['a', 'd'],
      '[a]',
      false,
      '',
      false,
    ]);
    link.open();
    await Promise.all([heard(before, '[a][b]'), heard(during, '[c]')]);
  });

  it('delays, and keeps the order when the delay ends', async () => {
    const caller = new Caller(link.address);
    caller.ask('a');
    await heard(caller, '[a]');
    link.delayMs = 700;
    caller.ask('b');
    const past = new Caller(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    past.ask('first');
    await heard(past, '[first]');
    await eventually(() => expect(asked).toHaveLength(3));
    link.open();
    caller.ask('c');
    await heard(caller, '[a][b][c]');
    expect(asked).toEqual(['a', 'first', 'b', 'c']);
  });

  it.each(['cut', 'silence'] as const)('loses the answer to one request and then falls to %s', async (then) => {
    const lost = link.loseAnswer((request) => request.includes('b'), then);
    const [caller, other] = [new Caller(link.address), new Caller(link.address)];
    caller.ask('a');
    await heard(caller, '[a]');
    caller.ask('b');
    await lost;
    expect(asked).toEqual(['a', 'b']);
    other.ask('b again');
    await heard(other, '[b again]');
    await eventually(() => expect(caller.closed).toBe(then === 'cut'));
    expect(caller.heard).toBe('[a]');
  });
});
