import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Random } from '../../services/core/random.ts';
import type { Books, Message } from './books.ts';
import { pick } from './handshakes.ts';

export interface Session {
  readonly socket: WebSocket;
  /** The connection below it. */
  readonly raw: Duplex;
  readonly pings: NodeJS.Timeout;
  readonly say: (frame: unknown) => void;
  readonly random: Random;
  readonly books: Books;
}

/** How one session misbehaves; `begin` returns what becomes of each message. */
export type Temper =
  | 'honest'
  | {
      readonly name: string;
      /** Nothing comes any more, and no end: the client has to find out. */
      readonly silent?: true;
      readonly begin: (session: Session) => (message: Message) => void;
    };

const CODES = [1000, 1001, 1003, 1008, 1009, 1011, 1012, 3000, 4101, 4102, 4103, 4104, 4999];
const TEMPORARY = [
  'rate_limited',
  'too_many_in_flight',
  'overloaded',
  'unavailable',
  'shutting_down',
  'from_the_future',
];
const FINAL = ['malformed', 'invalid_field', 'text_too_long', 'forbidden'];
const GARBAGE = [
  '',
  'null',
  '<html>',
  '[]',
  '{"type":7}',
  '{"type":"ack"}',
  '{"type":"ack","ids":[1]}',
  '{"type":"nack","id":{}}',
  '{"type":"insight"}',
  '{"type":"welcome"}',
  '{"type":"__proto__"}',
  '['.repeat(20_000),
];
/** Frames that mean nothing here, well formed all the same. */
const NOISE: readonly object[] = [
  { type: 'from_the_future', x: { y: [] } },
  { type: 'welcome', session: 'again', limits: {} },
  { type: 'error', code: 'malformed', message: 'x' },
  { type: 'pong' },
  { type: 'ack', ids: ['nobody'], conversation_ids: ['nowhere'] },
  { type: 'ack', ids: ['nobody'] },
  { type: 'nack', id: 'nobody', conversation_id: 'nowhere', code: 'forbidden', message: 'x' },
  { type: 'nack', id: 'nobody', code: 'overloaded', message: 'x', retry_after_ms: -1 },
  {
    type: 'insight',
    id: 'i',
    conversation_id: 'c',
    outcome: 'enriched',
    provisional: false,
    revision: 0,
    x: 'x'.repeat(999),
  },
];
const FLOOD = 2_000;
const FROZEN_MS = 3_000;

export function closeSomehow({ socket, raw, random, books }: Session): void {
  const how = pick(['code', 'code', 'code', 'cut', 'half a frame'], random);
  if (how === 'code') {
    const code = pick(CODES, random);
    if (code === 1009) books.tooBig += 1;
    socket.close(code, 'x'.repeat(Math.floor(random() * 100)));
  } else if (how === 'cut') socket.terminate();
  else {
    // The head of a text frame of 100 bytes, and ten of them.
    raw.write(Buffer.concat([Buffer.from([0x81, 100]), Buffer.alloc(10, 0x20)]));
    raw.destroy();
  }
}

export const TEMPERS: readonly Exclude<Temper, 'honest'>[] = [
  {
    name: 'closes at any moment',
    begin: (session) => {
      let left = Math.floor(session.random() * 40);
      if (left < 5) setImmediate(() => closeSomehow(session));
      return (message) => {
        if (session.random() < 0.7) session.books.ack(message, session.say);
        if (--left === 0) closeSomehow(session);
      };
    },
  },
  {
    name: 'garbage',
    begin: (session) => (message) => {
      session.books.ack(message, session.say);
      if (session.random() < 0.1) session.socket.send(pick(GARBAGE, session.random));
      if (session.random() < 0.02) session.socket.send(Buffer.from([0xff, 0xfe, 0x00]));
      if (session.random() < 0.01) session.socket.send('x'.repeat(3 << 20));
    },
  },
  {
    name: 'acks that are wrong, late or double',
    begin:
      ({ say, random, books }) =>
      (message) => {
        const { id } = message;
        if (random() < 0.3) say({ type: 'ack', ids: [id], conversation_ids: ['another'] });
        if (random() < 0.3) say({ type: 'ack', ids: [`${id} `], conversation_ids: [message.conversation_id] });
        const ack = () => books.ack(message, say);
        setTimeout(ack, random() * 100);
        if (random() < 0.3) setTimeout(ack, random() * 100);
      },
  },
  {
    name: 'nacks of every kind',
    begin:
      ({ say, random, books }) =>
      (message) => {
        const { id, conversation_id } = message;
        const draw = random();
        if (draw < 0.1) books.refuse(message, pick(FINAL, random), say);
        else if (draw < 0.5) {
          const retry_after_ms = pick([1, 20, 0, -7], random);
          say({ type: 'nack', id, conversation_id, code: pick(TEMPORARY, random), message: 'x', retry_after_ms });
        } else books.ack(message, say);
      },
  },
  {
    name: 'floods',
    begin: ({ say, random, books }) => {
      for (let i = 0; i < FLOOD; i++) say(pick(NOISE, random));
      return (message) => books.ack(message, say);
    },
  },
  { name: 'never answers', silent: true, begin: () => () => {} },
  {
    name: 'half open',
    silent: true,
    begin: ({ socket, pings, books, say, random }) => {
      let left = Math.floor(random() * 10);
      return (message) => {
        if (left < 0) return;
        books.ack(message, say);
        if (--left >= 0) return;
        clearInterval(pings);
        socket.pause();
        // Who has left by then is seen to have left.
        setTimeout(() => socket.resume(), FROZEN_MS);
      };
    },
  },
  {
    name: 'goodbyes',
    begin: (session) => {
      const { say, random } = session;
      const reconnect_after_ms = pick([0, 50, -1, 'soon', null], random);
      setTimeout(() => say({ type: 'goaway', reconnect_after_ms, closes_in_ms: 100 }), random() * 300);
      if (random() < 0.5) setTimeout(() => closeSomehow(session), 300 + random() * 300);
      return (message) => session.books.ack(message, say);
    },
  },
  {
    name: 'warns of the token',
    begin: ({ say, random, books }) => {
      for (let i = 0; i < 3; i++) {
        setTimeout(
          () => say({ type: 'token_expiring', expires_in_ms: pick([0, 50, -1, 1e12], random) }),
          random() * 300,
        );
      }
      return (message) => books.ack(message, say);
    },
  },
];
