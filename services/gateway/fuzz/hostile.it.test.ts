import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { eventually } from '../../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stopServices } from '../../local/testing/stack.ts';
import { RawBot } from '../testing/raw-bot.ts';
import { TokenMaker } from '../testing/tokens.ts';
import { HOSTILE_TEXTS } from './testing/corpus.ts';
import { HonestBots } from './testing/honest-bots.ts';
import { HOSTILE_FRAMES, HOSTILE_HANDSHAKES } from './testing/hostile-frames.ts';
import { type End, type FrameSpec, frame, OPCODES, Wire } from './testing/wire.ts';

const { TOPIC_PREFIX } = isolation('hostile');
const HALF_OPEN = 1_000;

let maker: TokenMaker;
let token: string;
let gateway: ServiceHandle;
let honest: HonestBots;

const metricOf = async (name: string): Promise<number> => {
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{[^\\n]*\\})? (.*)$`, 'm').exec(metrics)?.[1] ?? 0);
};
const closes = (code: number) => metricOf(`parley_gateway_closes_total\\{code="${code}"[^\\n]*\\}`);

/** With which bytes that are no good frame are answered; 1000 and 1005 answer a close. */
const OUR_CODES: readonly End[] = [1000, 1002, 1005, 1007, 1009];

/** The code of a close frame, which is echoed where it is one that a peer may send (RFC 6455 §7.4). */
const closeCodeOf = ({ opcode, payload = Buffer.alloc(0) }: FrameSpec): number | undefined =>
  opcode === OPCODES.close && payload.length >= 2 ? payload.readUInt16BE(0) : undefined;

/** A gateway that holds nothing any more but the honest bots' sockets. */
async function expectNothingLeft(files: number): Promise<void> {
  await eventually(async () => {
    expect(await metricOf('parley_gateway_connections')).toBe(honest.size);
    // The admin server's connections and the odd socket to Kafka come and go.
    expect(await metricOf('process_open_fds')).toBeLessThanOrEqual(files + 20);
  });
}

beforeAll(async () => {
  maker = await TokenMaker.create();
  token = await maker.sign({ bot: 'hostile' });
  gateway = await spawnService('gateway', {
    TOPIC_PREFIX,
    TOPIC_PARTITIONS: '2',
    GATEWAY_WORKERS: '1',
    JWT_PUBLIC_KEY: maker.publicKeyPem,
    HANDSHAKE_TIMEOUT_MS: '2000',
    // Long enough for honest bots on a busy machine.
    PING_INTERVAL_MS: '3000',
    MAX_MALFORMED_PER_MINUTE: '1000',
  });
  await gateway.ready();
  honest = await HonestBots.start(gateway.url, await maker.sign({ bot: 'honest' }), 5);
});

afterAll(async () => {
  await honest?.stop();
  await stopServices();
});

describe('a hostile peer', () => {
  it('is closed with a code for each rule of the WebSocket that it breaks', async () => {
    const found = await Promise.all(
      HOSTILE_FRAMES.map(async ({ name, bytes }) => {
        const wire = await Wire.open(gateway.url, token);
        wire.write(bytes);
        return [name, await wire.ended];
      }),
    );
    expect(found).toEqual(HOSTILE_FRAMES.map(({ name, code }) => [name, code]));
  });

  it('gets a status for each handshake that is none, and no compression whatever it offers', async () => {
    const found = await Promise.all(
      HOSTILE_HANDSHAKES.map(async ({ name, head }) => {
        const wire = await Wire.connect(gateway.url);
        wire.write(head);
        return [name, await wire.ended];
      }),
    );
    expect(found).toEqual(HOSTILE_HANDSHAKES.map(({ name, status }) => [name, status]));
    const offer = ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'];
    const wire = await Wire.open(gateway.url, token, offer);
    expect(wire.head).not.toMatch(/extensions/i);
    wire.destroy();
  });

  it('gets a code for each text of the corpus, and its good messages are acked in between', async () => {
    const bot = await RawBot.open(gateway.url, token);
    for (const [index, { text }] of HOSTILE_TEXTS.entries()) {
      bot.send(text);
      bot.send(message(`between-${index}`));
    }
    const last = `between-${HOSTILE_TEXTS.length - 1}`;
    expect(await bot.answerTo(last)).toBe('ack');
    const answers = bot.frames.filter(({ type }) => type === 'error' || type === 'nack');
    expect(answers.map(({ code }) => code)).toEqual(HOSTILE_TEXTS.map(({ code }) => code));
    await eventually(() => expect(new Set(bot.ackedIds).size).toBe(HOSTILE_TEXTS.length));
    bot.end();
  });

  it('may interleave control frames with the fragments of a message', async () => {
    const wire = await Wire.open(gateway.url, token);
    const [head, tail] = [
      JSON.stringify(message('fragmented')).slice(0, 20),
      JSON.stringify(message('fragmented')).slice(20),
    ];
    wire.write(frame({ payload: Buffer.from(head), fin: false }));
    wire.write(frame({ opcode: OPCODES.ping, payload: Buffer.from('still here') }));
    wire.write(frame({ opcode: OPCODES.pong }));
    wire.write(frame({ opcode: OPCODES.continuation, payload: Buffer.alloc(0), fin: false }));
    wire.write(frame({ opcode: OPCODES.continuation, payload: Buffer.from(tail) }));
    await eventually(() =>
      expect(wire.texts.at(-1)).toBe('{"type":"ack","ids":["fragmented"],"conversation_ids":["c"]}'),
    );
    expect(wire.opcodes).toContain(OPCODES.pong);
    wire.destroy();
  });

  it('gets its own close code back when it closes with one that a peer may send', async () => {
    const wire = await Wire.open(gateway.url, token);
    wire.write(frame({ opcode: OPCODES.close, payload: Buffer.from([0x0c, 0]) }));
    expect(await wire.ended).toBe(0x0c00);
  });

  it('gets nowhere with any bytes: each connection ends with a code, or is still waiting for more', async () => {
    const codes = new Set<number | 'cut'>();
    const mostly = <T>(usual: T, other: fc.Arbitrary<T>) =>
      fc.oneof({ weight: 5, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });
    const framed = fc
      .record({
        opcode: fc.oneof(fc.constantFrom(...Object.values(OPCODES)), fc.nat(15)),
        payload: fc.uint8Array({ maxLength: 140 }).map((bytes) => Buffer.from(bytes)),
        fin: mostly(true, fc.boolean()),
        reserved: mostly(0, fc.nat(7)),
        masked: mostly(true, fc.boolean()),
      })
      .map((spec) => ({ bytes: frame(spec), says: closeCodeOf(spec) }));
    const noise = fc
      .uint8Array({ minLength: 1, maxLength: 64 })
      .map((bytes) => ({ bytes: Buffer.from(bytes), says: undefined }));
    const sent = fc.array(fc.oneof({ weight: 4, arbitrary: framed }, { weight: 1, arbitrary: noise }), {
      minLength: 1,
    });
    await fc.assert(
      fc.asyncProperty(sent, async (chunks) => {
        const wire = await Wire.open(gateway.url, token);
        for (const { bytes } of chunks) wire.write(bytes);
        // Whatever state it is in, the server answers this, or has ended it, or takes it for the rest of a payload.
        wire.write(frame({ opcode: OPCODES.close, payload: Buffer.from([3, 0xe8]) }));
        // The second ack is of a message that was sent after ours.
        const later = honest.nextAck().then(() => honest.nextAck());
        const end = await Promise.race([wire.ended, later.then(() => 'waiting' as const)]);
        wire.destroy();
        if (end !== 'waiting') codes.add(end);
        return end === 'waiting' || OUR_CODES.includes(end) || chunks.some(({ says }) => says === end);
      }),
      { numRuns: 200 },
    );
    expect(codes.size).toBeGreaterThan(1);
  });
});

describe('peers that never finish', () => {
  it('are let go, a thousand of them; honest bots beside them keep their acks, and nothing is left behind', async () => {
    const files = await metricOf('process_open_fds');
    const calm = await honest.measure(400);
    const residentBefore: number[] = [];
    for (let round = 0; round < 2; round++) {
      const halfOpen = await Promise.all(
        Array.from({ length: HALF_OPEN }, async (_, i) => {
          const wire = await Wire.connect(gateway.url);
          // A third says nothing, a third stops in the middle of its head, a third has a head that never ends.
          if (i % 3 === 1) wire.write(Wire.request(gateway.url, token).slice(0, 60 + (i % 100)));
          if (i % 3 === 2) wire.write('GET /v1/stream HTTP/1.1\r\n');
          return wire;
        }),
      );
      const drip = setInterval(() => {
        for (let i = 2; i < HALF_OPEN; i += 3) halfOpen[i]?.write('X-More: x\r\n');
      }, 200);
      const silent = await Promise.all(Array.from({ length: 50 }, () => Wire.open(gateway.url, token)));
      for (const wire of silent) wire.pause();
      const flood = await Wire.open(gateway.url, token);
      for (let i = 0; i < 2_000; i++) flood.write(frame({ opcode: OPCODES.ping, payload: Buffer.alloc(125) }));
      const attacked = await honest.measure(400);
      const ends = await Promise.all(halfOpen.map(({ ended }) => ended));
      clearInterval(drip);
      // Each was answered 408; one that was still writing may have got a reset before it read that.
      expect([...new Set(ends)].filter((end) => end !== 'cut')).toEqual([408]);
      for (const wire of [...silent, flood]) wire.destroy();
      await expectNothingLeft(files);
      residentBefore.push(await metricOf('process_resident_memory_bytes'));
      // In the same run, since only then it is the same machine; a stall of one event loop turn is some milliseconds.
      expect(attacked.p99Ms / Math.max(calm.p99Ms, 10)).toBeLessThan(20);
    }
    const [first = 0, second = 0] = residentBefore;
    expect(second - first).toBeLessThan(32 << 20);
  }, 120_000);

  it('and do not even pong are closed 4102, also when they read nothing', async () => {
    const before = await closes(4102);
    const silent = await Promise.all(Array.from({ length: 60 }, () => Wire.open(gateway.url, token)));
    for (const wire of silent) wire.pause();
    await eventually(async () => expect(await closes(4102)).toBe(before + silent.length));
    for (const wire of silent) wire.destroy();
  });

  it('have cost no honest bot a message, a refusal or its connection', async () => {
    await honest.stop();
    expect(honest.totals).toMatchObject({ refused: 0, reconnects: 0, postponed: 0 });
    expect(honest.totals.acked).toBe(honest.totals.sent);
    expect(honest.totals.acked).toBeGreaterThan(1_200);
    expect(await gateway.kill()).toMatchObject({ code: 0 });
    expect(gateway.logs()).not.toMatch(/"level":"(error|fatal)"/);
  });
});

const message = (id: string) => ({
  type: 'message',
  id,
  conversation_id: 'c',
  speaker: 'user',
  text: 'Hi!',
  sent_at: Date.now(),
});
