import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type End, frame, OPCODES, Wire } from '../../services/gateway/fuzz/testing/wire.ts';
import { ATTACK_KINDS, type AttackKind, type AttackPlan } from './attack-plan.ts';

const PAUSE_MS = 50;
const DRIP_MS = 500;

type Attack = (plan: AttackPlan, index: number) => Promise<End>;

const ATTACKS: Readonly<Record<AttackKind, Attack>> = {
  /** A third says nothing, a third stops in the middle of its head, a third has a head that never ends. */
  half_open: async ({ url, tokens }, index) => {
    const wire = await Wire.connect(url);
    if (index % 3 === 1) wire.write(Wire.request(url, tokens[0] ?? '').slice(0, 60));
    if (index % 3 === 2) wire.write('GET /v1/stream HTTP/1.1\r\n');
    const drip = setInterval(() => index % 3 === 2 && wire.write('X-More: x\r\n'), DRIP_MS);
    const end = await wire.ended;
    clearInterval(drip);
    return end;
  },
  /** Is refused, and never closes its end. */
  no_token: ({ url }) => {
    const { hostname, port } = new URL(url);
    return new Promise((resolve) => {
      const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
      let answer = '';
      socket.on('data', (data) => {
        answer += data;
      });
      socket.on('error', () => {});
      // Only who writes on learns that the other side has let it go.
      const drip = setInterval(() => socket.write('x'), DRIP_MS);
      socket.on('close', () => {
        clearInterval(drip);
        resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]) || 'cut');
      });
      socket.write(Wire.request(url, '').replace(/Authorization:.*\r\n/, ''));
    });
  },
  junk_token: async ({ url, tokens }, index) => {
    const [head, claims] = (tokens[index % tokens.length] ?? '').split('.');
    const wire = await Wire.connect(url);
    wire.write(Wire.request(url, `${head}.${claims}.${'A'.repeat(86)}`));
    return await wire.ended;
  },
  /** Reads nothing of its long answers. One message in ten is good, so that it is not closed for the others, and Kafka has little of it. */
  deaf: async ({ url, tokens }, index) => {
    const wire = await Wire.open(url, tokens[index % tokens.length] ?? '');
    wire.pause();
    let ended = false;
    void wire.ended.then(() => {
      ended = true;
    });
    for (let i = 0; !ended; i++) {
      const long = message(`${index}-${i}`.padStart(128, '€'), '€'.repeat(128));
      wire.write(text(i % 10 === 0 ? long : { ...long, speaker: 'robot' }));
      if (i % 10 === 9) await delay(250);
    }
    return await wire.ended;
  },
  refused: async ({ url, tokens }, index) => {
    const wire = await Wire.open(url, tokens[index % tokens.length] ?? '');
    let ended = false;
    void wire.ended.then(() => {
      ended = true;
    });
    for (let i = 0; !ended; i++) {
      wire.write(text({ ...message(`${i}`, 'c'), speaker: 'robot' }));
      if (i % 50 === 49) await delay(250);
    }
    return await wire.ended;
  },
};

const text = (value: object): Buffer => frame({ opcode: OPCODES.text, payload: Buffer.from(JSON.stringify(value)) });
const message = (id: string, conversation_id: string) => ({
  type: 'message',
  id,
  conversation_id,
  speaker: 'user',
  text: 'Hi!',
  sent_at: Date.now(),
});

const ends: Record<string, Record<string, number>> = {};

/** One peer after another of a kind, as long as this process lives. */
async function keepAt(kind: AttackKind, plan: AttackPlan, index: number): Promise<never> {
  ends[kind] ??= {};
  const counts = ends[kind];
  for (;;) {
    const end = await ATTACKS[kind](plan, index).catch(() => 'no connection' as const);
    counts[end] = (counts[end] ?? 0) + 1;
    await delay(PAUSE_MS * (0.5 + Math.random()));
  }
}

/** A process of its own, commanded by its parent: a plan begins it, anything else is answered by the ends so far. */
process.on('message', (command: AttackPlan | 'ends') => {
  if (command === 'ends') {
    process.send?.(ends);
    return;
  }
  for (const kind of ATTACK_KINDS) {
    for (let index = 0; index < command[kind]; index++) void keepAt(kind, command, index);
  }
});
process.on('disconnect', () => process.exit());
