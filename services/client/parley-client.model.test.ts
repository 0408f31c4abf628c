import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { ParleyClient } from './parley-client.ts';
import type { Transport, TransportEvents } from './transport.ts';

/** Every operation of a client and every word and end of a gateway, in any order, over connections and time that the test holds. */
const LIMITS = { max_frame_bytes: 2_000, max_in_flight: 3, ping_interval_ms: 25_000 };
const STEP_MS = 5_000;
/** Longer than the longest time that a client stays away because it was told to. */
const FINALE_STEPS = 80;

const keyOf = ({ id, conversation_id }: { id: string; conversation_id: string }) => `${conversation_id} ${id}`;

interface SentFrame {
  readonly id: string;
  readonly conversation_id: string;
  readonly attempt: number;
}

/** One connection, of which the test is the other end. */
class Wire {
  readonly sent: SentFrame[] = [];
  readonly unanswered = new Map<string, SentFrame>();
  readonly events: TransportEvents;
  isLive = true;
  isWelcomed = false;
  hasNacked = false;

  constructor(events: TransportEvents) {
    this.events = events;
  }

  say(frame: object): void {
    if (this.isLive) this.events.frame(JSON.stringify(frame));
  }

  end(end: Parameters<TransportEvents['closed']>[0]): void {
    if (!this.isLive) return;
    this.isLive = false;
    this.events.closed(end);
  }

  welcome(): void {
    if (!this.isLive || this.isWelcomed) return;
    this.isWelcomed = true;
    this.say({ type: 'welcome', session: 's', limits: LIMITS });
  }
}

class World {
  readonly wires: Wire[] = [];
  readonly outcomes = new Map<Promise<void>, string>();
  readonly keys = new Map<Promise<void>, string>();
  /** By message, in the order of the calls. */
  readonly calls: string[] = [];
  readonly acked = new Set<string>();
  readonly nacked = new Map<string, Set<string>>();
  readonly attempts = new Map<string, number>();
  readonly faults: string[] = [];
  /** The code with which the client gave up by itself. */
  gaveUp: string | undefined;
  client!: ParleyClient;
  #tokens = 0;

  readonly transport: Transport = {
    seesPings: true,
    open: (_url, _token, events) => {
      const wire = new Wire({
        ...events,
        closed: (end) => {
          this.#onGone(wire);
          events.closed(end);
        },
      });
      this.wires.push(wire);
      return {
        send: (data) => this.#onSent(wire, JSON.parse(data) as SentFrame),
        close: (code) => {
          this.#onGone(wire);
          queueMicrotask(() => wire.end({ code }));
        },
        terminate: () => {
          wire.isLive = false;
          this.#onGone(wire);
        },
      };
    },
  };

  async begin(): Promise<void> {
    const connecting = ParleyClient.connect({
      url: 'ws://gateway/v1/stream',
      tokenProvider: () => `token-${this.#tokens++}`,
      transport: this.transport,
      maxBuffered: 8,
      listeners: {
        onClosed: ({ code }) => {
          this.gaveUp ??= code;
        },
      },
      random: () => 0.5,
    });
    await jest.advanceTimersByTimeAsync(0);
    this.wires[0]?.welcome();
    this.client = await connecting;
  }

  send(id: string, conversation_id: string, attempt: number): void {
    const message = { id, conversation_id, speaker: 'user' as const, text: 'Hi', ...(attempt > 1 && { attempt }) };
    const key = keyOf(message);
    const [before, attemptBefore] = [this.client.pending, this.attempts.get(key)];
    // Known before it goes, which it may do at once.
    this.calls.push(key);
    this.attempts.set(key, attempt);
    const promise = this.client.send(message);
    if (this.client.pending > before) {
      this.acked.delete(key);
      this.nacked.delete(key);
    } else {
      this.calls.pop();
      this.attempts.set(key, attemptBefore ?? 0);
    }
    if (this.outcomes.has(promise)) return;
    this.outcomes.set(promise, 'waits');
    this.keys.set(promise, key);
    const settle = (outcome: string) => {
      if (this.outcomes.get(promise) !== 'waits') this.faults.push(`${key} settled twice`);
      this.outcomes.set(promise, outcome);
    };
    promise.then(
      () => settle('acked'),
      (error: { code: string }) => settle(error.code),
    );
  }

  /** What had no answer may have arrived: it has to say so when it comes again. */
  #onGone({ unanswered }: Wire): void {
    for (const [key, { attempt }] of unanswered) this.attempts.set(key, attempt + 1);
    unanswered.clear();
  }

  #onSent(wire: Wire, frame: SentFrame): void {
    const key = keyOf(frame);
    const others = this.wires.filter((it) => it !== wire && it.isLive && it.unanswered.size > 0);
    if (others.length > 0) this.faults.push(`${key} went while another connection had messages without an answer`);
    if (wire.unanswered.has(key)) this.faults.push(`${key} went twice over one connection`);
    if (frame.attempt < (this.attempts.get(key) ?? 0))
      this.faults.push(`${key} went with a lower attempt than it has to have`);
    this.attempts.set(key, frame.attempt);
    const last = wire.sent.at(-1);
    if (!wire.hasNacked && last && this.calls.lastIndexOf(keyOf(last)) > this.calls.lastIndexOf(key)) {
      this.faults.push(`${key} went after a later one`);
    }
    wire.sent.push(frame);
    wire.unanswered.set(key, frame);
    if (wire.unanswered.size > LIMITS.max_in_flight) this.faults.push('more in flight than the gateway takes');
  }

  /** @param which of those that wait for an answer on that connection. */
  answer(wire: Wire, which: number, code: string): void {
    const waiting = [...wire.unanswered.values()];
    const frame = waiting[which % waiting.length];
    if (!frame || !wire.isLive) return;
    const { id, conversation_id } = frame;
    wire.unanswered.delete(keyOf(frame));
    if (code === 'ack') {
      this.acked.add(keyOf(frame));
      wire.say({ type: 'ack', ids: [id, 'nobody'], conversation_ids: [conversation_id, 'c'] });
      return;
    }
    wire.hasNacked = true;
    const codes = this.nacked.get(keyOf(frame)) ?? new Set();
    this.nacked.set(keyOf(frame), codes.add(code));
    const retry = code === 'forbidden' ? {} : { retry_after_ms: 500 };
    wire.say({ type: 'nack', id, conversation_id, code, message: code, ...retry });
  }

  /** From here on a gateway as it should be, until all is settled. */
  async finale(): Promise<void> {
    for (let step = 0; step < FINALE_STEPS && this.client.pending > 0; step++) {
      await jest.advanceTimersByTimeAsync(STEP_MS);
      for (const wire of this.wires.filter(({ isLive }) => isLive)) {
        wire.events.alive();
        wire.welcome();
        await jest.advanceTimersByTimeAsync(0);
        while (wire.isLive && wire.unanswered.size > 0) {
          this.answer(wire, 0, 'ack');
          await jest.advanceTimersByTimeAsync(0);
        }
      }
    }
  }

  check(): void {
    if (this.client.pending > 0) this.faults.push(`${this.client.pending} messages have not settled`);
    for (const [promise, outcome] of this.outcomes) {
      const key = this.keys.get(promise) ?? '';
      const said = outcome === 'acked' ? this.acked.has(key) : this.nacked.get(key)?.has(outcome);
      if (said || outcome === 'buffer_full' || outcome === this.gaveUp || this.#wasUsedAgain(promise)) continue;
      this.faults.push(`${key} is ${outcome}, which nothing has said`);
    }
  }

  /** A name may be used again once it is settled; what was said of its earlier use is forgotten then. */
  #wasUsedAgain(promise: Promise<void>): boolean {
    const key = this.keys.get(promise);
    const uses = [...this.keys].filter(([, other]) => other === key).map(([use]) => use);
    return uses.indexOf(promise) < uses.length - 1;
  }
}

const wireNumber = fc.nat(1);
const operation = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.constant('send' as const), fc.nat(5), fc.nat(1), fc.integer({ min: 1, max: 3 })),
  },
  { weight: 5, arbitrary: fc.tuple(fc.constant('ack' as const), wireNumber, fc.nat(2)) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constant('nack' as const),
      wireNumber,
      fc.nat(2),
      fc.constantFrom('overloaded', 'unavailable', 'shutting_down', 'forbidden', 'overloaded'),
    ),
  },
  { weight: 3, arbitrary: fc.tuple(fc.constant('welcome' as const), wireNumber) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('wait' as const), fc.constantFrom(1, 300, 2_500, 30_000)) },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constant('close' as const),
      wireNumber,
      fc.constantFrom(1006, 1012, 4001, 4103, 1000, 1006, 1012, 4003),
    ),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constant('goaway' as const), wireNumber, fc.constantFrom(0, 100, 20_000)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('expiring' as const), wireNumber, fc.constantFrom(0, 3_000)) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant('refuse' as const),
      wireNumber,
      fc.constantFrom('draining', 'token_expired', 'http_404'),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant('text' as const), wireNumber, fc.constantFrom('<html>', '{"type":"x"}')),
  },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

async function carryOut(world: World, it: Operation): Promise<void> {
  if (it[0] === 'send') world.send(`${it[1]}`, `c${it[2]}`, it[3]);
  else if (it[0] === 'wait') await jest.advanceTimersByTimeAsync(it[1]);
  else {
    const wire = world.wires.filter(({ isLive }) => isLive).at(-1 - it[1]);
    if (wire) say(world, wire, it);
  }
  await jest.advanceTimersByTimeAsync(0);
}

function say(world: World, wire: Wire, it: Exclude<Operation, readonly ['send' | 'wait', ...unknown[]]>): void {
  if (it[0] === 'ack') world.answer(wire, it[2], 'ack');
  else if (it[0] === 'nack') world.answer(wire, it[2], it[3]);
  else if (it[0] === 'welcome') wire.welcome();
  else if (it[0] === 'close') wire.end({ code: it[2] });
  else if (it[0] === 'goaway') wire.say({ type: 'goaway', reconnect_after_ms: it[2], closes_in_ms: 2_000 });
  else if (it[0] === 'expiring') wire.say({ type: 'token_expiring', expires_in_ms: it[2] });
  else if (it[0] === 'text') wire.events.frame(it[2]);
  else if (!wire.isWelcomed) wire.end({ code: 1006, refusal: { status: 503, code: it[2], retryAfterMs: 2_000 } });
}

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick', 'setImmediate', 'Date'] });
});
afterEach(() => {
  jest.useRealTimers();
});

it('settles every message once and as the gateway said, in order and over one connection at a time, whatever happens', async () => {
  const gaveUp: (string | undefined)[] = [];
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 50 }), async (operations) => {
      const world = new World();
      await world.begin();
      for (const it of operations) await carryOut(world, it);
      await world.finale();
      world.check();
      gaveUp.push(world.gaveUp);
      const closed = world.client.close({ timeoutMs: 0 });
      await jest.advanceTimersByTimeAsync(STEP_MS);
      await closed;
      expect({ faults: world.faults, timers: jest.getTimerCount() }).toEqual({ faults: [], timers: 0 });
    }),
    { numRuns: 600 },
  );
  // Clients that gave up, and clients that did not, were among them.
  expect(new Set(gaveUp.map((code) => code !== undefined))).toEqual(new Set([true, false]));
});
