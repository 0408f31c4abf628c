import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '../../../services/core/clock.ts';
import { TokenBucket } from '../../../services/core/token-bucket.ts';
import { batchAnswer, singleAnswer, statusAnswer } from './answers.ts';
import { DelayWheel } from './delay-wheel.ts';
import { DocumentBook } from './document-book.ts';
import { type ApiFaults, type ApiStats, NO_FAULTS, noCalls } from './faults.ts';
import { type ApiRequest, readRequest } from './request-reader.ts';

interface Pending {
  readonly socket: Socket;
  readonly request: ApiRequest;
  readonly startedAtMs: number;
  readonly failed: boolean;
}

export interface LoadApiOptions {
  /** Drawn evenly from this range for every call. */
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly random: () => number;
}

const MAX_DELAY_MS = 4_000;
/** A document more is refused, as by the reference service. */
const MAX_BATCH = 25;

/**
 * An NLP API for load runs: answers every text alike after a delay, straight on TCP, so that it takes a fraction of the
 * CPU of its caller. Fit for nothing else: it takes every request as well-formed.
 */
export class LoadApi {
  readonly book = new DocumentBook();
  readonly #options: LoadApiOptions;
  readonly #wheel = new DelayWheel<Pending>(MAX_DELAY_MS, (due) => this.#answerAll(due));
  #throttle: TokenBucket | undefined;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #faults: ApiFaults = NO_FAULTS;
  #stats = noCalls();

  constructor(options: LoadApiOptions) {
    this.#options = options;
  }

  get stats(): ApiStats {
    return { ...this.#stats, connections: this.#sockets.size };
  }

  get port(): number {
    return this.#port;
  }

  async listen(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
    server.listen({ host: '127.0.0.1', port: this.#port, backlog: 4_096 });
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** What is in flight goes on by the faults that were set when it came. */
  async setFaults(faults: ApiFaults): Promise<void> {
    this.#faults = faults;
    const perS = faults.throttle_per_s;
    this.#throttle = perS > 0 ? new TokenBucket(perS, perS, systemClock) : undefined;
    if (faults.down) this.close();
    else if (!this.#server) await this.listen();
  }

  reset(messages: number): void {
    this.#stats = { ...noCalls(), in_flight: this.#stats.in_flight };
    this.book.reset(messages);
  }

  close(): void {
    this.#server?.close();
    this.#server = undefined;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #serve(socket: Socket): void {
    let unread: Buffer | undefined;
    this.#sockets.add(socket);
    socket.on('data', (chunk) => {
      let bytes = unread ? Buffer.concat([unread, chunk]) : chunk;
      for (let result = readRequest(bytes); result; result = readRequest(bytes)) {
        this.#take(socket, result.request);
        bytes = bytes.subarray(result.length);
        if (bytes.length === 0) break;
      }
      unread = bytes.length > 0 ? bytes : undefined;
    });
    // A caller that gives up resets its connection; the close that follows says all there is to say.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #take(socket: Socket, request: ApiRequest): void {
    const { error_share, hang_share, delay_factor, retry_after_s } = this.#faults;
    const { random, minDelayMs, maxDelayMs } = this.#options;
    const stats = this.#stats;
    stats.calls++;
    if (request.kind === 'batch') stats.batches++;
    stats.documents += request.ids.length;
    for (const id of request.ids) this.book.called(id);
    if (request.kind === 'unknown' || request.ids.length === 0 || request.ids.length > MAX_BATCH) {
      send(socket, request, statusAnswer(request.kind === 'unknown' ? 404 : 400));
      return;
    }
    const nowMs = performance.now();
    if (this.#throttle && this.#throttle.take() > 0) {
      stats.throttled++;
      send(socket, request, statusAnswer(429, `retry-after: ${retry_after_s}\r\n`));
      return;
    }
    const lot = random();
    if (lot < hang_share) {
      stats.hangs++;
      return;
    }
    stats.in_flight++;
    if (stats.in_flight > stats.most_in_flight) stats.most_in_flight = stats.in_flight;
    const failed = lot < hang_share + error_share;
    const delayMs = (minDelayMs + random() * (maxDelayMs - minDelayMs)) * delay_factor;
    this.#wheel.add({ socket, request, startedAtMs: nowMs, failed }, delayMs);
  }

  #answerAll(due: readonly Pending[]): void {
    const nowMs = performance.now();
    const stats = this.#stats;
    for (const { socket, request, startedAtMs, failed } of due) {
      stats.in_flight--;
      if (socket.destroyed) continue;
      if (failed) {
        stats.errors++;
        send(socket, request, statusAnswer(500));
        continue;
      }
      stats.answered++;
      for (const id of request.ids) this.book.answered(id, nowMs - startedAtMs);
      send(
        socket,
        request,
        request.kind === 'single' ? singleAnswer(request.ids[0] as string) : batchAnswer(request.ids),
      );
    }
  }
}

function send(socket: Socket, { close }: ApiRequest, response: string): void {
  if (close) socket.end(response, 'latin1');
  else socket.write(response, 'latin1');
}
