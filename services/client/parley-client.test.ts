import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { eventually } from '../core/testing/eventually.ts';
import { Backoff } from './backoff.ts';
import { ParleyClientError } from './errors.ts';
import { globalTransport } from './global-transport.ts';
import { Outbox } from './outbox.ts';
import { ParleyClient } from './parley-client.ts';
import { ScriptedGateway } from './testing/scripted-gateway.ts';

let gateway: ScriptedGateway;
let url: string;
const clients: ParleyClient[] = [];

beforeEach(async () => {
  gateway = new ScriptedGateway();
  url = await gateway.listen();
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close({ timeoutMs: 0 })));
  await gateway.stop();
});

async function connect(options: Partial<Parameters<typeof ParleyClient.connect>[0]> = {}): Promise<ParleyClient> {
  const token = options.tokenProvider ? {} : { token: 'secret' };
  const client = await ParleyClient.connect({ url, ...token, backoff: { minMs: 1, maxMs: 20 }, ...options });
  clients.push(client);
  return client;
}

const message = (id: string, conversation_id = 'c') => ({ id, conversation_id, speaker: 'user' as const, text: 'Hi' });
const codeOf = (promise: Promise<void>): Promise<string> =>
  promise.then(
    () => 'acked',
    (error: unknown) => (error instanceof ParleyClientError ? error.code : `${error}`),
  );
const received = (count: number) => eventually(() => expect(gateway.received).toHaveLength(count));

describe('ParleyClient', () => {
  it('settles a send by its ack or its final nack', async () => {
    const nacked: string[] = [];
    const client = await connect({ listeners: { onNack: ({ code }) => nacked.push(code) } });
    const answers = ['a', 'b', 'c'].map((id) => codeOf(client.send(message(id))));
    await received(3);
    gateway.ack('a', 'c', 'unknown');
    gateway.nack('b', 'text_too_long');
    expect(await Promise.all(answers)).toEqual(['acked', 'text_too_long', 'acked']);
    expect(client.counters).toMatchObject({ sent: 3, acked: 2, refused: 1, nacks: { text_too_long: 1 } });
    expect([client.pending, nacked]).toEqual([0, ['text_too_long']]);
  });

  it('never has more in flight than the gateway takes, and bounds what waits', async () => {
    const client = await connect({ maxBuffered: 6 });
    const answers = ['1', '2', '3', '4', '5', '6'].map((id) => codeOf(client.send(message(id))));
    expect(await codeOf(client.send(message('7')))).toBe('buffer_full');
    await received(4);
    let hasRoom = false;
    const room = client.room().then(() => {
      hasRoom = true;
    });
    gateway.ack('2');
    await received(5);
    await room;
    expect(hasRoom).toBe(true);
    gateway.ack('1', '3', '4', '5');
    await received(6);
    gateway.ack('6');
    expect(await Promise.all(answers)).toEqual(Array(6).fill('acked'));
  });

  it('sends what was not acked again after a lost connection, first and with attempt raised', async () => {
    let resent = 0;
    const client = await connect({ listeners: { onReconnect: (count) => (resent = count) } });
    const answers = ['1', '2', '3', '4', '5'].map((id) => codeOf(client.send(message(id))));
    await received(4);
    gateway.ack('2');
    await received(5);
    gateway.last.terminate();
    await received(9);
    const again = gateway.received.slice(5).map(({ id, attempt }) => [id, attempt]);
    expect(again).toEqual(['1', '3', '4', '5'].map((id) => [id, 2]));
    gateway.ack('1', '3', '4', '5');
    expect(await Promise.all(answers)).toEqual(Array(5).fill('acked'));
    expect(client.counters).toMatchObject({ reconnects: 1, resent: 4, acked: 5 });
    expect(resent).toBe(4);
  });

  it('waits out temporary nacks, and raises the attempt only after an unclear one', async () => {
    const client = await connect();
    const answers = ['limited', 'unclear'].map((id) => codeOf(client.send(message(id))));
    await received(2);
    gateway.nack('limited', 'rate_limited', 30);
    gateway.nack('unclear', 'unavailable', 30);
    await received(4);
    expect(gateway.received.slice(2).map(({ id, attempt }) => [id, attempt])).toEqual([
      ['limited', 1],
      ['unclear', 2],
    ]);
    gateway.ack('limited', 'unclear');
    expect(await Promise.all(answers)).toEqual(['acked', 'acked']);
    expect(client.counters).toMatchObject({ postponed: 2, refused: 0, nacks: { rate_limited: 1, unavailable: 1 } });
  });

  it('opens its next session before it leaves the one that says goaway, which takes messages until then', async () => {
    const client = await connect();
    const [first] = gateway.sockets;
    gateway.refusal = { status: 503, code: 'draining' };
    gateway.say({ type: 'goaway', reconnect_after_ms: 5 });
    await eventually(() => expect(gateway.tokens.length).toBeGreaterThan(2));
    gateway.onMessage = ({ id }, socket) => gateway.say({ type: 'ack', ids: [id] }, socket);
    await client.send(message('meanwhile'));
    const left = new Promise<number>((resolve) => first?.on('close', resolve));
    gateway.refusal = undefined;
    expect(await left).toBe(1_000);
    expect(gateway.sockets).toHaveLength(2);
    await client.send(message('afterwards'));
    expect(gateway.received.map(({ id, attempt }) => [id, attempt])).toEqual([
      ['meanwhile', 1],
      ['afterwards', 1],
    ]);
    expect(client.counters).toMatchObject({ acked: 2, reconnects: 1, resent: 0 });
  });

  it('hands over when all that it sent is answered, or sends it again after two seconds', async () => {
    const client = await connect();
    const [first] = gateway.sockets;
    const old = client.send(message('old'));
    await received(1);
    gateway.say({ type: 'goaway', reconnect_after_ms: 0 });
    await eventually(() => expect(gateway.sockets).toHaveLength(2));
    gateway.say({ type: 'insight', id: 'barrier', conversation_id: 'c' });
    await eventually(() => expect(client.counters.insights).toBe(1));
    const fresh = client.send(message('fresh'));
    gateway.say({ type: 'ack', ids: ['old'] }, first);
    await old;
    await received(2);
    gateway.ack('fresh');
    await fresh;
    const never = client.send(message('never answered'));
    await received(3);
    gateway.onMessage = ({ id }) => gateway.ack(id);
    gateway.say({ type: 'goaway', reconnect_after_ms: 0 });
    await never;
    expect(gateway.received.slice(2).map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(client.counters).toMatchObject({ acked: 3, reconnects: 2, resent: 1 });
  });

  it('goes on with the next session where the present one ends first, or takes nothing any more', async () => {
    const client = await connect();
    gateway.onMessage = ({ id }) => {
      if (gateway.sockets.length === 1) gateway.nack(id, 'shutting_down', 1);
      else gateway.ack(id);
    };
    gateway.say({ type: 'goaway', reconnect_after_ms: 30 });
    await client.send(message('refused once'));
    expect(client.counters).toMatchObject({ reconnects: 1, postponed: 1, resent: 0 });
    gateway.say({ type: 'goaway', reconnect_after_ms: 10 });
    gateway.last.terminate();
    await client.send(message('meanwhile'));
    await client.send(message('afterwards'));
    expect([client.counters.reconnects, gateway.sockets.length]).toEqual([2, 3]);
  });

  it('gives the same promise for the same message, and keeps two of one id apart by conversation', async () => {
    const client = await connect();
    const first = client.send(message('1', 'a'));
    expect(client.send(message('1', 'a'))).toBe(first);
    const other = codeOf(client.send(message('1', 'b')));
    await received(2);
    // Not said of which conversation, and of another one: neither is taken for an answer.
    gateway.say({ type: 'ack', ids: ['1'] });
    gateway.say({ type: 'ack', ids: ['1'], conversation_ids: ['c'] });
    gateway.say({ type: 'ack', ids: ['1'], conversation_ids: ['a'], differs: ['1'] });
    await first;
    expect([client.pending, client.counters.differing]).toEqual([1, 1]);
    gateway.nack('1', 'forbidden');
    expect(await other).toBe('forbidden');
  });

  it('sends in the order of the calls again, whichever was nacked or lost', async () => {
    const client = await connect();
    const answers = ['1', '2', '3', '4'].map((id) => codeOf(client.send(message(id))));
    await received(4);
    for (const id of ['3', '1']) gateway.nack(id, 'overloaded', 60_000);
    await eventually(() => expect(client.counters.postponed).toBe(2));
    gateway.last.terminate();
    await received(8);
    expect(gateway.received.slice(4).map(({ id, attempt }) => `${id} ${attempt}`)).toEqual([
      '1 1',
      '2 2',
      '3 1',
      '4 2',
    ]);
    gateway.ack('1', '2', '3', '4');
    expect(await Promise.all(answers)).toEqual(Array(4).fill('acked'));
  });

  it('refuses what the gateway would answer with 1009, without sending it', async () => {
    const client = await connect();
    expect(await codeOf(client.send({ ...message('big'), text: '€'.repeat(700) }))).toBe('frame_too_large');
    expect(await codeOf(Promise.race([client.send({ ...message('fits'), text: 'x'.repeat(700) }), received(1)]))).toBe(
      'acked',
    );
    expect(gateway.received.map(({ id }) => id)).toEqual(['fits']);
  });

  it('closes gracefully: waits for acks, then says goodbye; rejects what is left after the bound', async () => {
    const client = await connect();
    const answer = codeOf(client.send(message('1')));
    await received(1);
    const closed = client.close();
    expect(await codeOf(client.send(message('late')))).toBe('closed');
    const goodbye = new Promise<number>((resolve) => gateway.last.on('close', resolve));
    gateway.ack('1');
    expect([await answer, await goodbye]).toEqual(['acked', 1000]);
    await closed;
    const hasty = await connect();
    const lost = codeOf(hasty.send(message('2')));
    await hasty.close({ timeoutMs: 1 });
    expect(await lost).toBe('closed');
  });

  it('gives up where coming back changes nothing, and says why', async () => {
    gateway.refusal = { status: 403, code: 'role_missing' };
    await expect(connect()).rejects.toMatchObject({ code: 'handshake_refused', detail: 'role_missing' });
    gateway.refusal = undefined;
    const client = await connect();
    const answer = codeOf(client.send(message('1')));
    await received(1);
    gateway.last.close(4008, 'too many malformed frames');
    expect(await answer).toBe('connection_refused');
    expect(await codeOf(client.send(message('2')))).toBe('connection_refused');
    const expired = await connect();
    gateway.last.close(4001);
    await eventually(async () => expect(await codeOf(expired.send(message('3')))).toBe('token_expired'));
  });

  it('comes back after 503, and says after its bound why it had no session', async () => {
    gateway.refusal = { status: 503, code: 'draining' };
    await expect(connect({ connectTimeoutMs: 100 })).rejects.toMatchObject({
      code: 'connect_timeout',
      message: expect.stringContaining('503 draining') as unknown,
    });
    const connecting = connect();
    await eventually(() => expect(gateway.tokens.length).toBeGreaterThan(3));
    gateway.refusal = undefined;
    expect((await connecting).limits.max_in_flight).toBe(4);
  });

  it('asks the provider for a token before each session, and outlives one', async () => {
    let calls = 0;
    const client = await connect({ tokenProvider: async () => `token-${++calls}` });
    gateway.last.close(4001, 'token expired');
    await eventually(() => expect(client.counters.reconnects).toBe(1));
    expect(gateway.tokens).toEqual(['Bearer token-1', 'Bearer token-2']);
  });

  it('ends a half-open connection after two silent ping intervals', async () => {
    gateway.limits = { ...gateway.limits, ping_interval_ms: 30 };
    const client = await connect();
    const answer = client.send(message('1'));
    await received(1);
    gateway.onMessage = ({ id }) => gateway.ack(id);
    await answer;
    expect(client.counters.reconnects).toBeGreaterThanOrEqual(1);
    expect(gateway.received[1]).toMatchObject({ id: '1', attempt: 2 });
  });

  it('leaves a connection that answers nonsense, and ignores frames that it does not know', async () => {
    const insights: string[] = [];
    const client = await connect({ listeners: { onInsight: ({ id }) => insights.push(id) } });
    gateway.say({ type: 'from-the-future' });
    gateway.say({ type: 'insight', id: 'i1', conversation_id: 'c' });
    gateway.say({ type: 'error', code: 'malformed', message: 'x' });
    await eventually(() => expect(client.counters.errors).toBe(1));
    expect(insights).toEqual(['i1']);
    gateway.last.send('<html>');
    await eventually(() => expect(client.counters.reconnects).toBe(1));
  });

  it('works with the global WebSocket, the token in the subprotocols', async () => {
    gateway.onMessage = ({ id }) => gateway.ack(id);
    const client = await connect({ transport: globalTransport });
    await client.send(message('1'));
    gateway.last.terminate();
    await client.send(message('2'));
    expect(gateway.tokens[0]).toBe('parley.v1, bearer.secret');
    expect(client.counters).toMatchObject({ acked: 2, reconnects: 1 });
  });
});

describe('Backoff', () => {
  it('stays between nothing and a ceiling that doubles up to the maximum', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.array(random, { minLength: 1, maxLength: 40 }), (draws) => {
        let index = 0;
        const backoff = new Backoff({ minMs: 500, maxMs: 20_000, random: () => draws[index] ?? 0 });
        for (; index < draws.length; index++) {
          const delay = backoff.next();
          expect(delay).toBeGreaterThanOrEqual(0);
          expect(delay).toBeLessThanOrEqual(Math.min(20_000, 500 * 2 ** index));
        }
        backoff.reset();
        index = 0;
        expect(backoff.next()).toBeLessThanOrEqual(500);
      }),
    );
  });
});

describe('Outbox', () => {
  it('settles every message exactly once and sends in the order of the calls, whatever happens', async () => {
    const name = { id: fc.nat(5), conversation: fc.nat(2) };
    const step = fc.record({
      do: fc.constantFrom(...(['add', 'add', 'take', 'take', 'ack', 'refuse', 'postpone', 'lose'] as const)),
      ...name,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const outbox = new Outbox();
        const promises = new Set<Promise<void>>();
        const faults: string[] = [];
        let settled = 0;
        for (const { do: doing, ...names } of steps) {
          const [id, conversationId] = [`${names.id}`, `${names.conversation}`];
          if (doing === 'add') {
            promises.add(outbox.add({ id, conversationId, attempt: 1, head: 'four' }));
          } else if (doing === 'take') outbox.take();
          else if (doing === 'lose') outbox.connectionLost();
          else if (doing === 'ack') settled += outbox.acked(id, conversationId) ? 1 : 0;
          else if (doing === 'postpone') outbox.postponed(id, conversationId, true);
          else settled += outbox.refused(id, conversationId, new ParleyClientError('forbidden', '')) ? 1 : 0;
          if (outbox.size !== promises.size - settled || outbox.chars !== 4 * outbox.size)
            faults.push(`after ${doing}`);
        }
        outbox.connectionLost();
        const drained: number[] = [];
        for (let entry = outbox.take(); entry; entry = outbox.take()) {
          drained.push(entry.sequence);
          outbox.acked(entry.message.id, entry.message.conversationId);
        }
        expect(faults).toEqual([]);
        expect(drained).toEqual(drained.toSorted((a, b) => a - b));
        expect([drained.length, outbox.size, outbox.chars]).toEqual([promises.size - settled, 0, 0]);
        await Promise.allSettled(promises);
      }),
    );
  });
});
