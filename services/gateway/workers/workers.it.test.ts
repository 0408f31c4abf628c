import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ParleyClient } from '../../client/parley-client.ts';
import { eventually } from '../../core/testing/eventually.ts';
import { Child, isolation, type ServiceHandle, spawnService, stack, stopServices } from '../../local/testing/stack.ts';
import { readInstanceFiles } from '../../platform/instance-file.ts';
import { KafkaProxy } from '../../platform/testing/kafka-proxy.ts';
import { RawBot, refusedHandshake } from '../testing/raw-bot.ts';
import { TokenMaker } from '../testing/tokens.ts';
import { readEvents } from '../testing/topic-reader.ts';

const { TOPIC_PREFIX } = isolation('gateway_workers');
const { kafkaBrokers, registryUrl } = stack();

interface WorkerRow {
  readonly id: number;
  readonly pid: number;
  readonly state: string;
  readonly connections: number;
}

let maker: TokenMaker;
let gateway: ServiceHandle;
let proxy: KafkaProxy;

async function spawnGateway(env: Record<string, string> = {}): Promise<ServiceHandle> {
  const service = await spawnService('gateway', {
    TOPIC_PREFIX,
    TOPIC_PARTITIONS: '6',
    JWT_PUBLIC_KEY: maker.publicKeyPem,
    GATEWAY_WORKERS: '2',
    RECONNECT_SPREAD_MS: '300',
    ...env,
  });
  await service.ready();
  return service;
}

const rowsOf = async ({ adminUrl }: ServiceHandle) =>
  (await (await fetch(`${adminUrl}/workers`)).json()) as WorkerRow[];
const pidsOf = async (service: ServiceHandle) => (await rowsOf(service)).map(({ pid }) => pid);
const metricsOf = async ({ adminUrl }: ServiceHandle) => (await fetch(`${adminUrl}/metrics`)).text();
const metricOf = async (service: ServiceHandle, name: string) =>
  Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')}.* (.*)$`, 'm').exec(await metricsOf(service))?.[1] ?? 0);
const idsOf = async (bot: string) =>
  (await readEvents({ kafkaBrokers, registryUrl, prefix: TOPIC_PREFIX }))
    .filter(({ event }) => event.bot_id === bot)
    .map(({ event }) => event);

const raw = (id: string, change: Record<string, unknown> = {}) => {
  return { type: 'message', id, conversation_id: 'c', speaker: 'user', text: 'Hi!', sent_at: Date.now(), ...change };
};
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const connectClient = async (url: string, bot: string) =>
  ParleyClient.connect({ url, token: await maker.sign({ bot }), backoff: { minMs: 50, maxMs: 500 } });

/** Connections of each worker, by pid, as the supervisor asks for them when they are looked at. */
const connectionsOf = async (service: ServiceHandle) =>
  new Map((await rowsOf(service)).map(({ pid, connections }) => [pid, connections]));

/** Two sockets that are at two workers: the system deals them out by chance, so it takes a few tries. */
async function onBoth(service: ServiceHandle, token: string): Promise<[RawBot, RawBot]> {
  const before = await connectionsOf(service);
  const first = await RawBot.open(service.url, token);
  const home = await eventually(async () => {
    const found = [...(await connectionsOf(service))].find(([pid, count]) => count > (before.get(pid) ?? 0));
    if (!found) throw new Error('no worker has it yet');
    return found[0];
  });
  for (;;) {
    const count = (await connectionsOf(service)).get(home) ?? 0;
    const second = await RawBot.open(service.url, token);
    if (((await connectionsOf(service)).get(home) ?? 0) === count) return [first, second];
    second.end();
    await eventually(async () => expect((await connectionsOf(service)).get(home)).toBe(count));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

beforeAll(async () => {
  maker = await TokenMaker.create();
  proxy = await KafkaProxy.start(kafkaBrokers);
  gateway = await spawnGateway({ KAFKA_BROKERS: proxy.address });
});

afterAll(async () => {
  await stopServices();
  await proxy.stop();
});

describe('several workers', () => {
  it('are one gateway at one port and one admin endpoint, and share its connections', async () => {
    const token = await maker.sign({ bot: 'even' });
    const bots = await Promise.all(Array.from({ length: 40 }, () => RawBot.open(gateway.url, token)));
    for (const [index, bot] of bots.entries()) bot.send(raw(`even-${index}`));
    await Promise.all(bots.map((bot, index) => bot.answerTo(`even-${index}`)));
    const ready = await (await fetch(`${gateway.adminUrl}/readyz`)).json();
    expect(ready).toMatchObject({
      ready: true,
      dependencies: { workers: { state: 'up', version: '2 of 2' }, kafka: { state: 'up' }, registry: { state: 'up' } },
    });
    expect(await metricOf(gateway, 'parley_gateway_connections{')).toBe(40);
    expect(await metricOf(gateway, 'parley_gateway_messages_total{result="acked"')).toBe(40);
    // One that stands still has its part of them, and the others go on.
    const [stopped] = await pidsOf(gateway);
    process.kill(stopped ?? 0, 'SIGSTOP');
    const acks = () => bots.flatMap(({ ackedIds }) => ackedIds).length - 40;
    try {
      for (const [index, bot] of bots.entries()) bot.send(raw(`halted-${index}`));
      expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503);
      await eventually(() => expect(acks()).toBeGreaterThanOrEqual(8));
      expect(acks()).toBeLessThanOrEqual(32);
    } finally {
      process.kill(stopped ?? 0, 'SIGCONT');
    }
    await eventually(() => expect(acks()).toBe(40));
    const answer = await fetch(`${gateway.adminUrl}/disconnect?bot=even`, { method: 'POST' });
    expect(await answer.json()).toEqual({ sessions: 40, unanswered: 0 });
    expect(new Set((await Promise.all(bots.map((bot) => bot.closed))).map(({ code }) => code))).toEqual(
      new Set([1012]),
    );
    await eventually(async () => expect(await metricOf(gateway, 'parley_gateway_connections{')).toBe(0));
  });

  it('ack a message that another one has made safe after its bot had gone, without a second record', async () => {
    const token = await maker.sign({ bot: 'returner' });
    const first = await RawBot.open(gateway.url, token);
    proxy.silence();
    first.send(raw('unheard'));
    await eventually(async () => expect(await metricOf(gateway, 'parley_gateway_in_flight{')).toBe(1));
    first.end();
    await eventually(async () => expect(await metricOf(gateway, 'parley_gateway_connections{')).toBe(0));
    proxy.open();
    await eventually(async () => expect(await metricOf(gateway, 'parley_gateway_in_flight{')).toBe(0));
    const again = await onBoth(gateway, token);
    for (const bot of again) bot.send(raw('unheard', { attempt: 2 }));
    for (const bot of again) expect(await bot.answerTo('unheard')).toBe('ack');
    for (const bot of again) bot.end();
    expect((await idsOf('returner')).map(({ message_id, attempt }) => [message_id, attempt])).toEqual([['unheard', 1]]);
  });

  it('mark what another one has acked already as sent again, for the sink to drop', async () => {
    const token = await maker.sign({ bot: 'doubter' });
    const bots = await onBoth(gateway, token);
    for (const [index, bot] of bots.entries()) {
      bot.send(raw('twice', { attempt: index + 1 }));
      expect(await bot.answerTo('twice')).toBe('ack');
    }
    for (const bot of bots) bot.end();
    expect((await idsOf('doubter')).map(({ attempt }) => attempt).sort()).toEqual([1, 2]);
  });

  it('are replaced when they die: nothing acked is lost, no counter goes back', async () => {
    const clients = await Promise.all(Array.from({ length: 6 }, (_, i) => connectClient(gateway.url, `mortal-${i}`)));
    const sendAll = (part: string) =>
      Promise.all(
        clients.flatMap((client) =>
          Array.from({ length: 20 }, (_, i) =>
            client.send({ id: `${part}-${i}`, conversation_id: 'm', speaker: 'user', text: part }),
          ),
        ),
      );
    await sendAll('before');
    // What the victim had counted up to this scrape stays; what it acks from here on goes with it.
    const before = await metricOf(gateway, 'parley_gateway_messages_total{result="acked"');
    const [victim] = await pidsOf(gateway);
    const during = sendAll('during');
    process.kill(victim ?? 0, 'SIGKILL');
    await during;
    await eventually(async () => {
      expect((await rowsOf(gateway)).filter(({ state }) => state === 'up')).toHaveLength(2);
    });
    expect(await pidsOf(gateway)).not.toContain(victim);
    await sendAll('after');
    const reconnects = clients.map(({ counters }) => counters.reconnects);
    expect(Math.max(...reconnects)).toBeLessThanOrEqual(1);
    expect(await metricOf(gateway, 'parley_gateway_messages_total{result="acked"')).toBeGreaterThanOrEqual(
      before + 120,
    );
    expect(await metricOf(gateway, 'parley_gateway_worker_deaths_total{')).toBe(1);
    await Promise.all(clients.map((client) => client.close()));
    for (const [index] of clients.entries()) {
      const ids = new Set((await idsOf(`mortal-${index}`)).map(({ message_id }) => message_id));
      expect(ids.size).toBe(60);
    }
  });
});

describe('a rolling restart', () => {
  it('replaces all workers under load: nothing is lost, and no client is sent away twice', async () => {
    const bots = Array.from({ length: 30 }, (_, i) => `roller-${i}`);
    const clients = await Promise.all(bots.map((bot) => connectClient(gateway.url, bot)));
    let over = false;
    const sent = clients.map(async (client) => {
      let count = 0;
      while (!over) await client.send({ id: `r${count++}`, conversation_id: 'r', speaker: 'user', text: 'rolling' });
      return count;
    });
    const old = await pidsOf(gateway);
    gateway.signal('SIGUSR2');
    await eventually(
      async () => {
        const pids = await pidsOf(gateway);
        expect(pids).toHaveLength(2);
        expect(pids.filter((pid) => old.includes(pid))).toEqual([]);
      },
      { timeoutMs: 90_000 },
    );
    over = true;
    const counts = await Promise.all(sent);
    expect(clients.map(({ counters }) => counters.reconnects)).toEqual(bots.map(() => 1));
    expect(clients.map(({ counters }) => counters.resent)).toEqual(bots.map(() => 0));
    await Promise.all(clients.map((client) => client.close()));
    const events = await readEvents({ kafkaBrokers, registryUrl, prefix: TOPIC_PREFIX });
    for (const [index, bot] of bots.entries()) {
      const ids = events.filter(({ event }) => event.bot_id === bot).map(({ event }) => event.message_id);
      expect(ids.sort()).toEqual(Array.from({ length: counts[index] ?? 0 }, (_, i) => `r${i}`).sort());
    }
    expect(await metricOf(gateway, 'parley_gateway_worker_deaths_total{')).toBe(1);
  }, 120_000);
});

describe('limits of several workers', () => {
  let strict: ServiceHandle;
  beforeAll(async () => {
    strict = await spawnGateway({
      TENANT_MESSAGES_PER_S: '60',
      BOT_MESSAGES_PER_S: '20',
      BOT_BURST: '20',
      MAX_TENANT_CONNECTIONS: '6',
      MAX_CONNECTIONS: '8',
      HANDSHAKE_TIMEOUT_MS: '400',
      DRAIN_TIMEOUT_MS: '2000',
    });
  });

  /** Sends without pause for a while; what is above the rate is held back. @returns what was acked, in how many seconds. */
  async function press(bots: readonly RawBot[], forMs: number): Promise<{ acked: number; seconds: number }> {
    const started = performance.now();
    let count = 0;
    while (performance.now() - started < forMs) {
      for (const [index, bot] of bots.entries()) bot.send(raw(`p${index}-${count}`));
      count += 1;
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
    const acked = bots.reduce((sum, bot) => sum + bot.ackedIds.length, 0);
    return { acked, seconds: (performance.now() - started) / 1_000 };
  }

  it('hold for a tenant over all of them', async () => {
    const bots = await Promise.all(
      Array.from({ length: 6 }, async (_, i) =>
        RawBot.open(strict.url, await maker.sign({ tenant: 'greedy', bot: `b${i}` })),
      ),
    );
    const { acked, seconds } = await press(bots, 3_000);
    expect(acked).toBeLessThanOrEqual(60 * seconds + 60);
    // Six bots may send 120 a second: it was the tenant's budget that held them, and it was spent.
    expect(acked).toBeGreaterThan(60 * 3 * 0.6);
    for (const bot of bots) bot.end();
    await eventually(async () => expect(await metricOf(strict, 'parley_gateway_connections{')).toBe(0));
  });

  it('hold for a bot with sockets on both', async () => {
    const token = await maker.sign({ tenant: 'pair', bot: 'twin' });
    const bots = await onBoth(strict, token);
    const { acked, seconds } = await press(bots, 2_500);
    expect(acked).toBeLessThanOrEqual(20 * seconds + 20 + 2);
    expect(acked).toBeGreaterThan(20 * 2.5 * 0.6);
    for (const bot of bots) bot.end();
    await eventually(async () => expect(await metricOf(strict, 'parley_gateway_connections{')).toBe(0));
  });

  it('count connections of a tenant and in all, say so in headers, and get back the places of a dead worker', async () => {
    const crowd = await maker.sign({ tenant: 'crowd' });
    const other = await maker.sign({ tenant: 'other' });
    const bots = await Promise.all(Array.from({ length: 6 }, () => RawBot.open(strict.url, crowd)));
    const refused = await refusedHandshake(strict.url, bearer(crowd));
    expect([refused.status, refused.body.code]).toEqual([429, 'too_many_tenant_connections']);
    expect(refused.headers).toMatchObject({ 'ratelimit-policy': '"too_many_tenant_connections";q=6' });
    expect(refused.headers['ratelimit']).toMatch(/^"too_many_tenant_connections";r=0;t=\d+$/);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    bots.push(await RawBot.open(strict.url, other), await RawBot.open(strict.url, other));
    const full = await refusedHandshake(strict.url, bearer(other));
    expect([full.status, full.body.code]).toEqual([429, 'too_many_connections']);
    for (const bot of bots.splice(6)) bot.end();
    const [victim] = await pidsOf(strict);
    process.kill(victim ?? 0, 'SIGKILL');
    await eventually(async () => {
      expect((await rowsOf(strict)).filter(({ state }) => state === 'up')).toHaveLength(2);
      const lost = bots.filter(({ socket }) => socket.readyState === socket.CLOSED).length;
      expect(await metricOf(strict, 'parley_gateway_connections{')).toBe(6 - lost);
    });
    const lost = bots.filter(({ socket }) => socket.readyState === socket.CLOSED);
    const successors = await Promise.all(lost.map(() => RawBot.open(strict.url, crowd)));
    expect((await refusedHandshake(strict.url, bearer(crowd))).body.code).toBe('too_many_tenant_connections');
    for (const bot of [...bots, ...successors]) bot.end();
  });

  it('end handshakes that never end, while others come in', async () => {
    const { hostname, port } = new URL(strict.url);
    const open = (): Promise<Socket> =>
      new Promise((resolve, reject) => {
        const socket = connect({ host: hostname, port: Number(port) });
        socket.once('connect', () => resolve(socket)).once('error', reject);
      });
    const idlers = await Promise.all(Array.from({ length: 300 }, open));
    const gone = idlers.map(
      (socket) => new Promise<void>((resolve) => socket.on('error', () => {}).once('close', () => resolve())),
    );
    for (const [index, socket] of idlers.entries()) {
      socket.resume();
      if (index % 2 === 0) socket.write('GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: webs');
    }
    const honest = await RawBot.open(strict.url, await maker.sign({ tenant: 'honest' }));
    honest.send(raw('beside'));
    expect(await honest.answerTo('beside')).toBe('ack');
    await Promise.all(gone);
    expect(honest.socket.readyState).toBe(honest.socket.OPEN);
    honest.end();
    // Node looks for them every 30 s by itself: this must not wait for that.
  }, 20_000);

  it('drain with SIGTERM: every bot gets goaway, every process ends, the exit code is 0', async () => {
    const pids = await pidsOf(strict);
    const bots = await Promise.all(
      [1, 2, 3, 4].map(async (i) => RawBot.open(strict.url, await maker.sign({ tenant: `drained-${i}` }))),
    );
    const exit = strict.kill('SIGTERM');
    expect(await Promise.all(bots.map(({ closed }) => closed))).toEqual(
      bots.map(() => ({ code: 1012, reason: 'restart' })),
    );
    for (const bot of bots) expect(bot.frames.filter(({ type }) => type === 'goaway')).toHaveLength(1);
    expect(await exit).toMatchObject({ code: 0 });
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it('end with their supervisor when it is killed', async () => {
    const pids = await pidsOf(gateway);
    await gateway.kill('SIGKILL');
    await eventually(() => expect(pids.filter(isAlive)).toEqual([]));
  });
});

describe('a gateway that is to end, behind a load balancer', () => {
  const health = async ({ url }: ServiceHandle) =>
    (await fetch(url.replace('ws:', 'http:').replace('/v1/stream', '/healthz'))).status;
  const goaways = (bots: readonly RawBot[]) =>
    bots.filter(({ frames }) => frames.some(({ type }) => type === 'goaway'));

  /** Long enough for what a test does within it, on a slow machine too. */
  const leaving = () => spawnGateway({ DRAIN_DELAY_MS: '8000', DRAIN_TIMEOUT_MS: '4000' });

  it.each(['its supervisor', 'each of its processes'])(
    'takes connections and messages for a while, not ready any more, then says goaway and ends with 0 (SIGTERM to %s)',
    async (whom) => {
      const service = await leaving();
      const pids = await pidsOf(service);
      const bot = `leaver-${whom}`;
      const token = await maker.sign({ bot });
      const bots: RawBot[] = await onBoth(service, token);
      const acked: string[] = [];
      const sendOverAll = async (part: string) => {
        for (const [i, each] of bots.entries()) {
          const id = `${part}-${i}`;
          each.send(raw(id));
          expect(await each.answerTo(id)).toBe('ack');
          acked.push(id);
        }
      };
      await sendOverAll('before');
      // As systemd does: all processes get the signal.
      if (whom !== 'its supervisor') for (const pid of pids) process.kill(pid, 'SIGTERM');
      const exit = service.kill('SIGTERM');
      await eventually(async () => expect((await fetch(`${service.adminUrl}/readyz`)).status).toBe(503));
      // Each worker says so at the port that load balancers look at.
      await eventually(async () => {
        expect(await Promise.all(Array.from({ length: 12 }, () => health(service)))).toEqual(Array(12).fill(503));
      });
      bots.push(...(await Promise.all(Array.from({ length: 6 }, () => RawBot.open(service.url, token)))));
      await sendOverAll('during');
      expect(goaways(bots)).toEqual([]);
      // After its goaway a session still takes messages for a while; one that comes too late is nacked, not lost.
      const partings = bots.map(async (each, i) => {
        await each.frame(({ type }) => type === 'goaway', 20_000);
        each.send(raw(`after-${i}`));
        if ((await each.answerTo(`after-${i}`)) === 'ack') acked.push(`after-${i}`);
      });
      await Promise.all(partings);
      for (const each of bots) each.end();
      expect(await exit).toMatchObject({ code: 0 });
      expect(pids.filter(isAlive)).toEqual([]);
      expect(service.logs()).not.toContain('a worker died');
      expect((await idsOf(bot)).map(({ message_id }) => message_id).sort()).toEqual(acked.sort());
    },
    60_000,
  );

  it('has workers that take the place of dead ones say so as well', async () => {
    const service = await leaving();
    const [victim] = await pidsOf(service);
    const exit = service.kill('SIGTERM');
    await eventually(async () => expect((await fetch(`${service.adminUrl}/readyz`)).status).toBe(503));
    process.kill(victim ?? 0, 'SIGKILL');
    await eventually(async () => {
      const up = (await rowsOf(service)).filter(({ state, pid }) => state === 'up' && pid !== victim);
      expect(up).toHaveLength(2);
    });
    await eventually(async () => {
      expect(await Promise.all(Array.from({ length: 12 }, () => health(service)))).toEqual(Array(12).fill(503));
    });
    expect(await exit).toMatchObject({ code: 0 });
  }, 60_000);
});

describe('a gateway with few open files', () => {
  it('says how many connections fit, closes what does not, and goes on', async () => {
    const runDir = await mkdtemp(join(tmpdir(), 'parley-few-files-'));
    const output: Buffer[] = [];
    const main = join(import.meta.dirname, '../main.ts');
    const child = await Child.start({
      command: '/bin/sh',
      args: ['-c', 'ulimit -n 640; exec "$0" "$1"', process.execPath, main],
      env: {
        ...process.env,
        KAFKA_BROKERS: kafkaBrokers,
        SCHEMA_REGISTRY_URL: registryUrl,
        TOPIC_PREFIX,
        TOPIC_PARTITIONS: '6',
        JWT_PUBLIC_KEY: maker.publicKeyPem,
        GATEWAY_WORKERS: '1',
        GATEWAY_PORT: '0',
        ADMIN_PORT: '0',
        HANDSHAKE_TIMEOUT_MS: '5000',
        PARLEY_RUN_DIR: runDir,
      },
      onOutput: (chunk) => output.push(chunk),
    });
    try {
      const { url, admin_url: adminUrl } = await eventually(
        async () => {
          const [found] = await readInstanceFiles(runDir);
          if (!found) throw new Error(`not up yet: ${Buffer.concat(output)}`);
          return found;
        },
        { timeoutMs: 30_000 },
      );
      expect(String(Buffer.concat(output))).toContain('"max_connections":128,"open_files":640');
      const { hostname, port } = new URL(url ?? '');
      const sockets = Array.from({ length: 900 }, () => connect({ host: hostname, port: Number(port) }));
      let ended = 0;
      for (const socket of sockets) {
        socket.resume();
        socket
          .on('error', () => {})
          .once('close', () => {
            ended += 1;
          });
      }
      await eventually(() => expect(ended).toBeGreaterThanOrEqual(900 - 512));
      const dropped = async () =>
        /handshakes_total\{result="dropped".*\} (\d+)/.exec(await (await fetch(`${adminUrl}/metrics`)).text())?.[1];
      expect(Number(await dropped())).toBeGreaterThan(0);
      for (const socket of sockets) socket.destroy();
      const bot = await eventually(async () => RawBot.open(url ?? '', await maker.sign({ bot: 'survivor' })));
      bot.send(raw('still-here'));
      expect(await bot.answerTo('still-here')).toBe('ack');
      bot.end();
    } finally {
      await child.stop(10_000);
      await rm(runDir, { recursive: true, force: true });
    }
  });
});
