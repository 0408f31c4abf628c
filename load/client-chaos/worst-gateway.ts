import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Random } from '../../services/core/random.ts';
import { Books, type Message } from './books.ts';
import { pick, refuseHandshake } from './handshakes.ts';
import { closeSomehow, TEMPERS, type Temper } from './tempers.ts';

const LIMITS = { max_frame_bytes: 65_536, max_in_flight: 32, max_id_chars: 128, ping_interval_ms: 200 };
/** Limits that no gateway should announce; the first are what it should. */
const ANNOUNCED: readonly unknown[] = [
  ...Array(12).fill(LIMITS),
  {},
  { ...LIMITS, max_in_flight: 0 },
  { ...LIMITS, max_in_flight: 1e300, ping_interval_ms: -5 },
  { ...LIMITS, max_frame_bytes: 'many', ping_interval_ms: null },
  null,
];
const MAX_SESSION_MS = 1_500;
/** Many times the ping interval, and the time that the host's clients wait for an answer (1 s). */
const MAX_SILENCE_MS = 10_000;
/** Handshakes of a hundred that come to a WebSocket. */
const WELCOMED = 70;
/** Sessions of a hundred that are left alone. */
const HONEST = 25;

/** The other end at its worst: each handshake and each session draws how it misbehaves, until it is told to be honest. */
export class WorstGateway {
  readonly books = new Books();
  readonly faults: Record<string, number> = {};
  /** Connections that had been silent for long when the worst was over. */
  unnoticed = 0;
  readonly #random: Random;
  readonly #http: Server = createServer();
  readonly #sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'parley.v1' });
  readonly #open = new Set<WebSocket>();
  readonly #raw = new Set<Duplex>();
  /** Since when. */
  readonly #silent = new Map<WebSocket, number>();
  #honest = false;

  constructor(random: Random) {
    this.#random = random;
    this.#http.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.#http.on('clientError', (_, socket) => socket.destroy());
    this.#http.keepAliveTimeout = 1;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}/v1/stream`;
  }

  /** From here on as a gateway should be; who is connected is sent away first. */
  becomeHonest(): void {
    this.#honest = true;
    const longAgo = performance.now() - MAX_SILENCE_MS;
    this.unnoticed = [...this.#silent.values()].filter((since) => since < longAgo).length;
    this.#cutAll();
  }

  async stop(): Promise<void> {
    this.#cutAll();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #cutAll(): void {
    for (const socket of this.#open) socket.terminate();
    for (const socket of this.#raw) socket.destroy();
  }

  #count(fault: string): void {
    this.faults[fault] = (this.faults[fault] ?? 0) + 1;
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    this.#raw.add(socket);
    socket.once('close', () => this.#raw.delete(socket));
    if (this.#honest || this.#random() * 100 < WELCOMED) {
      this.#sockets.handleUpgrade(request, socket, head, (it) => this.#serve(it, socket, request));
    } else this.#count(refuseHandshake(socket, this.#random));
  }

  #serve(socket: WebSocket, raw: Duplex, { headers }: IncomingMessage): void {
    this.#open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#open.delete(socket);
      this.#silent.delete(socket);
    });
    const temper: Temper = this.#honest || this.#random() * 100 < HONEST ? 'honest' : pick(TEMPERS, this.#random);
    this.#count(temper === 'honest' ? 'none' : temper.name);
    const pings = setInterval(() => socket.ping(), LIMITS.ping_interval_ms / 2);
    socket.on('close', () => clearInterval(pings));
    const isSilent = temper !== 'honest' && temper.silent === true;
    // With other limits it would be noticed later: a ping interval that is none is taken for 25 s.
    const limits = this.#honest || isSilent ? LIMITS : pick(ANNOUNCED, this.#random);
    const say = (frame: unknown) => socket.readyState === socket.OPEN && socket.send(JSON.stringify(frame));
    const session = { socket, raw, pings, say, random: this.#random, books: this.books };
    // However it goes, it ends soon, and the next one draws anew.
    // A global WebSocket, which sets no header, can only be asked to close: the connection itself stays for long.
    if (isSilent && headers.authorization !== undefined) this.#silent.set(socket, performance.now());
    else if (!this.#honest && !isSilent) setTimeout(() => closeSomehow(session), this.#random() * MAX_SESSION_MS);
    const onMessage = temper === 'honest' ? (message: Message) => this.books.ack(message, say) : temper.begin(session);
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as Message;
      if (message.type === 'ping') say({ type: 'pong' });
      else onMessage(message);
    });
    say({ type: 'welcome', session: 'worst', insights: true, limits });
  }
}
