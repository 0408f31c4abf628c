/**
 * A bot that does everything wrong, beside a gateway that does worse, in a process of its own: an unhandled rejection or an
 * uncaught exception ends it. Prints what each case came to as one JSON object; with names as arguments, only those.
 */
import { eventually } from '../../core/testing/eventually.ts';
import { globalTransport } from '../global-transport.ts';
import { ParleyClient } from '../parley-client.ts';
import type { Transport } from '../transport.ts';
import { wsTransport } from '../ws-transport.ts';
import { ScriptedGateway } from './scripted-gateway.ts';

type Options = Partial<Parameters<typeof ParleyClient.connect>[0]>;
type Outgoing = Parameters<ParleyClient['send']>[0];

const message = (id: string, extra: object = {}) =>
  ({ id, conversation_id: 'c', speaker: 'user', text: 'Hi', ...extra }) as Outgoing;
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'fine',
    (error: { code?: string; name?: string; detail?: string }) =>
      `${error.code ?? error.name}${error.code === 'handshake_refused' ? ` ${error.detail}` : ''}`,
  );
const holds = (what: () => boolean) =>
  eventually(
    () => {
      if (!what()) throw new Error(`not yet: ${what}`);
    },
    { timeoutMs: 5_000 },
  );
const boom = (): never => {
  throw new Error('boom');
};

/** Delays that timers were asked for. */
const delays: number[] = [];
const { setTimeout: realSetTimeout } = globalThis;
globalThis.setTimeout = Object.assign((...[work, ms = 0, ...rest]: Parameters<typeof realSetTimeout>) => {
  delays.push(ms);
  return realSetTimeout(work, ms, ...rest);
}, realSetTimeout);

class Case {
  readonly problems: string[] = [];
  readonly gateway = new ScriptedGateway();
  readonly #clients: ParleyClient[] = [];
  url = '';

  async begin(): Promise<this> {
    this.url = await this.gateway.listen();
    return this;
  }

  async connect(options: Options = {}): Promise<ParleyClient> {
    const token = options.tokenProvider || 'token' in options ? {} : { token: 'secret' };
    const listeners = {
      onProblem: ({ code }: { code: string }) => void this.problems.push(code),
      ...options.listeners,
    };
    const defaults = { url: this.url, ...token, backoff: { minMs: 1, maxMs: 20 }, connectTimeoutMs: 400 };
    const client = await ParleyClient.connect({ ...defaults, ...options, listeners });
    this.#clients.push(client);
    return client;
  }

  ackAll(): void {
    this.gateway.onMessage = ({ id }) => id && this.gateway.ack(id);
  }

  async end(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close({ timeoutMs: 0 })));
    await this.gateway.stop();
  }
}

const breaking = (open: Transport['open']): Transport => ({ seesPings: true, open });

const cases: Record<string, (it: Case) => Promise<unknown>> = {
  'a URL without a scheme': (it) => codeOf(it.connect({ url: 'localhost:8080/v1/stream' })),
  'a URL that is none': (it) => codeOf(it.connect({ url: undefined as unknown as string })),
  'a token with a line end': async (it) => {
    await it.connect({ token: 'secret\n' });
    return it.gateway.tokens;
  },
  'a token with a line end within': (it) => codeOf(it.connect({ token: 'sec\nret' })),
  'no token': (it) => codeOf(it.connect({ token: undefined as unknown as string })),
  'a provider that throws, rejects and gives nonsense before it gives a token': async (it) => {
    const answers = [boom, () => Promise.reject(new Error('later')), () => undefined, () => 'a\nb', () => 'good'];
    await it.connect({ tokenProvider: () => (answers.shift() ?? boom)() as string });
    return [it.problems, it.gateway.tokens];
  },
  'a provider that throws on reconnect': async (it) => {
    let asked = 0;
    const client = await it.connect({ tokenProvider: () => (++asked === 2 ? boom() : `token-${asked}`) });
    it.gateway.last.terminate();
    await holds(() => client.counters.reconnects === 1);
    return it.gateway.tokens;
  },
  'a transport that cannot open': async (it) => {
    const answer = await codeOf(it.connect({ transport: breaking(boom), connectTimeoutMs: 50 }));
    return [answer, it.problems.includes('connection_lost')];
  },
  'a transport that cannot send, close or end, and reports each end twice': async (it) => {
    let opened = 0;
    const transport = breaking((url, token, events) => {
      const twice = { ...events, closed: (end: { code: number }) => [events.closed(end), events.closed(end)] };
      const connection = wsTransport.open(url, token, twice as typeof events);
      return ++opened === 1
        ? { send: boom, close: boom, terminate: boom }
        : { ...connection, send: (data) => connection.send(data) };
    });
    it.ackAll();
    const client = await it.connect({ transport });
    return [await codeOf(client.send(message('1'))), opened, it.gateway.received.map(({ attempt }) => attempt)];
  },
  'listeners that throw, now and later': async (it) => {
    it.ackAll();
    const later = async () => boom();
    const listeners = {
      onAck: later,
      onNack: boom,
      onInsight: boom,
      onError: boom,
      onReconnect: boom,
      onTokenExpiring: later,
    };
    const client = await it.connect({ insights: true, listeners });
    await client.send(message('1'));
    it.gateway.say({
      type: 'insight',
      id: '1',
      conversation_id: 'c',
      outcome: 'enriched',
      provisional: false,
      revision: 0,
    });
    it.gateway.say({ type: 'error', code: 'malformed', message: 'x' });
    it.gateway.say({ type: 'token_expiring', expires_in_ms: 5 });
    for await (const { id } of client.insights) if (id === '1') break;
    it.gateway.last.terminate();
    await holds(() => client.counters.listenerFailures === 5);
    return [await codeOf(client.send(message('2'))), [...new Set(it.problems)].sort()];
  },
  'a listener for problems that throws': async (it) => {
    const client = await it.connect({ listeners: { onProblem: boom, onClosed: boom } });
    it.gateway.last.terminate();
    await holds(() => client.counters.reconnects === 1);
    return codeOf(client.close());
  },
  'a listener that closes its client': async (it) => {
    const client: ParleyClient = await it.connect({ listeners: { onAck: () => client.close() } });
    const answers = ['1', '2', '3'].map((id) => codeOf(client.send(message(id))));
    await holds(() => it.gateway.received.length === 3);
    it.gateway.ack('1', '2');
    await client.close({ timeoutMs: 0 });
    return Promise.all(answers);
  },
  'pages of a proxy on reconnect': async (it) => {
    it.ackAll();
    const client = await it.connect();
    for (const refusal of [
      { status: 404, page: '<html>no such host</html>' },
      { status: 403, page: '{"code":"blocked"}' },
      { status: 401, page: '' },
      { status: 302, page: '' },
      { status: 200, page: '<html>sign in</html>' },
    ]) {
      const before = it.gateway.tokens.length;
      it.gateway.refusal = refusal;
      it.gateway.last.terminate();
      await holds(() => it.gateway.tokens.length > before + 1);
      it.gateway.refusal = undefined;
      await client.send(message(`after ${refusal.status}`));
    }
    return client.counters.acked;
  },
  "the gateway's own refusal": async (it) => {
    it.gateway.refusal = { status: 403, code: 'role_missing' };
    return codeOf(it.connect());
  },
  'a refusal as a browser sees it': async (it) => {
    it.gateway.greeting = (socket) => {
      it.gateway.say({ type: 'error', code: 'token_invalid', message: 'wrong key' }, socket);
      socket.close(4004, 'token_invalid');
    };
    return codeOf(it.connect({ transport: globalTransport }));
  },
  'a Retry-After of days': async (it) => {
    const answers = [];
    for (const retryAfter of [864_000, 1e15, new Date(Date.now() + 9e9).toUTCString()]) {
      delays.length = 0;
      it.gateway.refusal = { status: 503, code: 'draining', retryAfter };
      answers.push(await codeOf(it.connect({ connectTimeoutMs: 50 })), Math.max(...delays));
    }
    return answers;
  },
  'a goodbye for years': async (it) => {
    const client = await it.connect();
    delays.length = 0;
    it.gateway.say({ type: 'goaway', reconnect_after_ms: 1e12 });
    it.gateway.last.close(1012);
    await holds(() => it.problems.length > 0 || delays.includes(300_000));
    return [Math.max(...delays), await codeOf(client.close())];
  },
  'a nack for years': async (it) => {
    const client = await it.connect();
    void client.send(message('1'));
    await holds(() => it.gateway.received.length === 1);
    delays.length = 0;
    it.gateway.nack('1', 'overloaded', 1e12);
    await holds(() => client.counters.postponed === 1);
    return Math.max(...delays);
  },
  'goodbyes in a loop': async (it) => {
    it.gateway.greeting = (socket) => {
      it.gateway.say({ type: 'welcome', session: 's', limits: it.gateway.limits }, socket);
      it.gateway.say({ type: 'goaway', reconnect_after_ms: 0 }, socket);
      socket.close(1012);
    };
    delays.length = 0;
    const client = await it.connect({ backoff: { minMs: 10, maxMs: 2_000 }, random: () => 0.5 });
    await holds(() => client.counters.reconnects >= 3);
    return [5, 10, 20].every((delay) => delays.includes(delay));
  },
  'no crypto': async (it) => {
    const { crypto } = globalThis;
    Object.defineProperty(globalThis, 'crypto', { value: undefined, configurable: true, writable: true });
    try {
      it.ackAll();
      const client = await it.connect();
      const { id: _, ...nameless } = message('');
      return [await codeOf(client.send(nameless)), it.gateway.received[0]?.id.length];
    } finally {
      Object.defineProperty(globalThis, 'crypto', { value: crypto, configurable: true, writable: true });
    }
  },
  'messages that are none': async (it) => {
    const client = await it.connect();
    const circle: Record<string, unknown> = {};
    circle['circle'] = circle;
    const wrong = [
      null,
      message('\ud83d'),
      message(''),
      message('x'.repeat(129)),
      message('1', { conversation_id: undefined }),
      message('1', { metadata: circle }),
      message('1', { metadata: { n: 1n } }),
      message('1', { attempt: 0 }),
      Object.defineProperty({ ...message('1') }, 'text', { enumerable: true, get: boom }),
    ];
    const answers = await Promise.all(wrong.map((each) => codeOf(client.send(each as Outgoing))));
    return [new Set(answers).size === 1 && answers[0], client.pending, it.gateway.received.length];
  },
  'ids as numbers, and a type of its own': async (it) => {
    it.ackAll();
    const client = await it.connect();
    return [
      await codeOf(client.send(message(7 as unknown as string, { conversation_id: 9n, type: 'ping' }))),
      it.gateway.received.map(({ type, id, conversation_id }) => [type, id, conversation_id]),
    ];
  },
  'a saved queue that is sent again': async (it) => {
    const client = await it.connect();
    const answer = codeOf(client.send(message('1', { attempt: 3 })));
    await holds(() => it.gateway.received.length === 1);
    it.ackAll();
    it.gateway.last.terminate();
    return [await answer, it.gateway.received.map(({ attempt }) => attempt)];
  },
  'frames that are none': async (it) => {
    it.ackAll();
    const frames = [
      '',
      'null',
      '[]',
      '{}',
      '{"type":7}',
      '{"type":"ack","ids":7}',
      '{"type":"nack"}',
      '{"type":"insight"}',
    ];
    const client = await it.connect();
    for (const [count, frame] of frames.entries()) {
      it.gateway.last.send(frame);
      await holds(() => client.counters.reconnects === count + 1);
    }
    it.gateway.last.send(Buffer.alloc(2 << 20, 32).toString());
    await holds(() => client.counters.reconnects === frames.length + 1);
    return codeOf(client.send(message('1')));
  },
  'a welcome without limits, and with wrong ones': async (it) => {
    const say = (limits: unknown) => {
      it.gateway.greeting = (socket) => it.gateway.say({ type: 'welcome', session: 's', limits }, socket);
    };
    say(undefined);
    const none = await codeOf(it.connect({ connectTimeoutMs: 50 }));
    say({ max_in_flight: -1, ping_interval_ms: 'soon', max_frame_bytes: null, max_id_chars: 0 });
    it.ackAll();
    const client = await it.connect();
    return [none, client.limits, await codeOf(client.send(message('1')))];
  },
  'sends that nobody waits for': async (it) => {
    const client = await it.connect({ maxBuffered: 2 });
    for (let i = 0; i < 5; i++) void client.send(message(`${i}`));
    await client.close({ timeoutMs: 0 });
    void client.send(message('late'));
    return client.pending;
  },
  'a frame limit on the way': async (it) => {
    it.gateway.limits = { ...it.gateway.limits, max_frame_bytes: 9_000 };
    const client = await it.connect();
    const answers = [8, 4_000].map((chars) => codeOf(client.send(message(`${chars}`, { text: 'x'.repeat(chars) }))));
    await holds(() => it.gateway.received.length === 2);
    it.ackAll();
    it.gateway.last.close(1009);
    return Promise.all(answers);
  },
  'a dead link in a page': async (it) => {
    it.gateway.limits = { ...it.gateway.limits, ping_interval_ms: 25 };
    it.gateway.onMessage = ({ type }) =>
      type === 'ping' && it.gateway.sockets.length > 1 && it.gateway.say({ type: 'pong' });
    const client = await it.connect({ transport: globalTransport });
    await holds(() => it.gateway.received.filter(({ type }) => type === 'ping').length > 3);
    return client.counters.reconnects;
  },
  'a gateway that lives and answers nothing': async (it) => {
    it.gateway.limits = { ...it.gateway.limits, ping_interval_ms: 20 };
    it.gateway.greeting = (socket) => {
      it.gateway.say({ type: 'welcome', session: 's', limits: it.gateway.limits }, socket);
      if (it.gateway.sockets.length > 1) it.ackAll();
      const pings = setInterval(() => socket.ping(), 10);
      socket.once('close', () => clearInterval(pings));
    };
    const client = await it.connect({ answerTimeoutMs: 50 });
    return [await codeOf(client.send(message('1'))), client.counters.reconnects];
  },
};

/** These change or watch what all of the process shares. */
const alone = /no crypto|days|years|loop/;

async function outcomeOf(name: string, run: (it: Case) => Promise<unknown>): Promise<[string, unknown]> {
  const it = await new Case().begin();
  const outcome = await run(it).catch((error: unknown) => `failed: ${error}`);
  await it.end();
  return [name, outcome];
}

const wanted = process.argv.slice(2);
const chosen = Object.entries(cases).filter(([name]) => wanted.length === 0 || wanted.includes(name));
const together = chosen.filter(([name]) => !alone.test(name));
const outcomes = await Promise.all(together.map(([name, run]) => outcomeOf(name, run)));
for (const [name, run] of chosen.filter(([name]) => alone.test(name))) outcomes.push(await outcomeOf(name, run));
process.stdout.write(`${JSON.stringify(Object.fromEntries(outcomes))}\n`);
