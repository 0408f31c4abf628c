import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { parseDocument } from 'yaml';
import { ParleyClient } from '../../client/parley-client.ts';
import { eventually } from '../../core/testing/eventually.ts';
import { BALANCERS, type BalancerName, isInstalled, LoadBalancer } from '../../local/testing/load-balancer.ts';
import { freePort } from '../../platform/free-port.ts';
import { FrontDoor } from '../testing/front-door.ts';
import { TokenMaker } from '../testing/tokens.ts';

const CLIENTS = 30;
/** One more than is needed: what is new comes before what is old goes. */
const SLOTS = 4;

const names = Object.keys(BALANCERS) as BalancerName[];
const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const environment = (name: BalancerName) => ({
  TRUSTED_PROXIES: '127.0.0.1',
  PROXY_PROTOCOL: name === 'haproxy-tcp' ? 'on' : 'off',
  DRAIN_TIMEOUT_MS: '8000',
});

/** Gateways on ports of their own behind a load balancer, and clients that send one message after another. */
class World {
  readonly maker: TokenMaker;
  readonly balancer: LoadBalancer;
  readonly doors: FrontDoor[] = [];
  readonly clients: ParleyClient[] = [];
  readonly #ports: readonly number[];
  readonly #env: Record<string, string>;
  #streaming = true;

  private constructor(
    maker: TokenMaker,
    balancer: LoadBalancer,
    ports: readonly number[],
    env: Record<string, string>,
  ) {
    this.maker = maker;
    this.balancer = balancer;
    this.#ports = ports;
    this.#env = { JWT_PUBLIC_KEY: maker.publicKeyPem, ...env };
  }

  static async open(name: BalancerName): Promise<World> {
    const ports = await Promise.all(Array.from({ length: SLOTS }, () => freePort()));
    const world = new World(await TokenMaker.create(), await LoadBalancer.start(name, ports), ports, environment(name));
    cleanUps.push(() => world.balancer.stop());
    return world;
  }

  async start(slot: number, env: Record<string, string> = {}): Promise<FrontDoor> {
    const door = await FrontDoor.open({ ...this.#env, GATEWAY_PORT: String(this.#ports[slot]), ...env });
    cleanUps.push(() => door.server.drain());
    this.doors.push(door);
    return door;
  }

  /** The load balancer gives it new connections. */
  async isInTurn(door: FrontDoor): Promise<void> {
    const token = await this.maker.sign({ bot: 'probe' });
    await eventually(async () => {
      const { connections } = door.server;
      const probe = await ParleyClient.connect({ url: this.balancer.url, token });
      const taken = door.server.connections > connections;
      await probe.close();
      expect(taken).toBe(true);
    });
  }

  async connect(): Promise<void> {
    const token = await this.maker.sign();
    for (let i = 0; i < CLIENTS; i++) this.clients.push(await ParleyClient.connect({ url: this.balancer.url, token }));
    cleanUps.push(() => Promise.all(this.clients.map((client) => client.close({ timeoutMs: 0 }))));
  }

  /** @returns what ends it, once all that was sent is acked. */
  stream(): () => Promise<void> {
    const streams = this.clients.map(async (client, index) => {
      for (let i = 0; this.#streaming; i++) {
        await client.send({ id: `${index}-${i}`, conversation_id: `c-${index}`, speaker: 'user', text: 'Hi' });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
    return async () => {
      this.#streaming = false;
      await Promise.all(streams);
    };
  }

  sum(pick: 'acked' | 'sent' | 'resent' | 'postponed'): number {
    return this.clients.reduce((sum, { counters }) => sum + counters[pick], 0);
  }

  get storedIds(): string[] {
    return this.doors.flatMap(({ producer }) => producer.sent.map((_, index) => producer.event(index).message_id));
  }
}

describe.each(names)(
  'gateways behind %s (skipped where it is not installed: apt-get install nginx haproxy)',
  (name) => {
    const onItsMachine = isInstalled(name) ? it : it.skip;
    // HAProxy restarts them with one of its two files: these differ in what the gateway hears of the source.
    if (name !== 'haproxy-tcp')
      onItsMachine(
        'are restarted one after another: each client comes back once, and no message is lost, resent or nacked',
        async () => {
          const world = await World.open(name);
          const first = [await world.start(0), await world.start(1), await world.start(2)];
          for (const door of first) await world.isInTurn(door);
          await world.connect();
          const stop = world.stream();
          // The one with the fewest sessions goes first: then the new one has fewer than any old one until it has all of them.
          const remaining = new Map(first.map((door, slot) => [slot, door]));
          for (let free = SLOTS - 1; remaining.size > 0; ) {
            await world.isInTurn(await world.start(free));
            const [[slot, old]] = [...remaining].sort(
              ([, x], [, y]) => x.server.connections - y.server.connections,
            ) as [[number, FrontDoor]];
            await old.server.drain();
            remaining.delete(slot);
            free = slot;
          }
          await stop();
          expect(world.clients.map(({ counters }) => counters.reconnects)).toEqual(Array(CLIENTS).fill(1));
          expect([world.sum('resent'), world.sum('postponed')]).toEqual([0, 0]);
          expect(world.sum('acked')).toBe(world.sum('sent'));
          expect(world.sum('acked')).toBeGreaterThan(CLIENTS * 10);
          // Stored once each, those of a client in the order in which it sent them.
          const stored = world.storedIds;
          expect(stored.length).toBe(world.sum('acked'));
          const own = stored.filter((id) => id.startsWith('7-'));
          expect(own).toEqual(own.map((_, i) => `7-${i}`));
          for (const door of first) expect(await door.metrics).not.toMatch(/goaways_total\{end="closed"/);
        },
      );

    onItsMachine('see the true source of a connection, whatever its header says', async () => {
      const world = await World.open(name);
      const door = await world.start(0, { FAILED_HANDSHAKES_PER_S: '1', CONNECTIONS_PER_S: '40' });
      await world.isInTurn(door);
      const refusals = (localAddress: string, times: number) =>
        Promise.all(
          Array.from({ length: times }, (_, i) => handshake(world.balancer.port, localAddress, `198.51.100.${i}`)),
        );
      // Its budget of failures is spent, wherever it says to come from; its neighbour's is not.
      await refusals('127.0.0.2', 10);
      expect(await refusals('127.0.0.2', 40)).toContain('too_many_failed_handshakes');
      expect(await refusals('127.0.0.3', 1)).toEqual(['token_invalid']);
    });
  },
);

/** @returns the code with which a handshake with a bad token is refused. */
function handshake(port: number, localAddress: string, pretended: string): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/stream`, 'parley.v1', {
    headers: { authorization: 'Bearer x', 'x-forwarded-for': pretended, forwarded: `for=${pretended}` },
    createConnection: () => connect({ host: '127.0.0.1', port, localAddress }),
  });
  socket.on('error', () => {});
  return new Promise((resolve) => {
    socket.on('unexpected-response', async (_, response) => {
      let body = '';
      for await (const chunk of response.setEncoding('utf8')) body += chunk;
      socket.terminate();
      resolve(/"code":"(\w+)"/.exec(body)?.[1] ?? body);
    });
  });
}

describe('the files that are not run', () => {
  it.each(['envoy.yaml', 'alb.yaml'])('%s is YAML, and asks the path that the gateway has', async (name) => {
    const text = await readFile(join(import.meta.dirname, '../../../deploy/load-balancers', name), 'utf8');
    // CloudFormation's short forms are tags of its own.
    const customTags = ['!Ref', '!Sub'].map((tag) => ({ tag, resolve: (value: string) => value }));
    expect(parseDocument(text, { customTags }).errors).toEqual([]);
    expect(text).toContain('/healthz');
  });
});
