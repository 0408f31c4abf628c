import { messageOf } from '../../core/errors.ts';

/** One end of Node's own channel between a process and its child: `process`, or a cluster `Worker`. */
export interface ChannelPort {
  send(message: unknown, callback: (error: Error | null) => void): unknown;
  on(event: 'message', listener: (message: unknown) => void): unknown;
}

// biome-ignore lint/suspicious/noExplicitAny: what a method takes is agreed between the two ends
export type Handlers = Readonly<Record<string, (params: any) => unknown>>;

/** The other end did not answer in time, or is gone. */
class ChannelError extends Error {
  override readonly name = 'ChannelError';
}

interface Frame {
  readonly parley: 'request' | 'notice' | 'answer';
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly value?: unknown;
  readonly error?: string;
}

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

const isFrame = (message: unknown): message is Frame =>
  typeof message === 'object' && message !== null && 'parley' in message;

/**
 * Requests and notices between supervisor and worker, both ways. A round trip costs tens of microseconds, so callers
 * gather what they can into one.
 */
export class Channel {
  readonly #port: ChannelPort;
  readonly #handlers: Handlers;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #closed = false;

  constructor(port: ChannelPort, handlers: Handlers) {
    this.#port = port;
    this.#handlers = handlers;
    port.on('message', (message) => {
      if (isFrame(message)) void this.#onFrame(message);
    });
  }

  /** @throws {ChannelError} after `timeoutMs`, or when the other end is gone or its handler threw. */
  request<T>(method: string, params: unknown, timeoutMs: number): Promise<T> {
    if (this.#closed) return Promise.reject(new ChannelError(`${method}: the other end is gone`));
    return new Promise<T>((resolve, reject) => {
      const id = ++this.#lastId;
      const timer = setTimeout(() => this.#fail(id, `${method}: no answer within ${timeoutMs} ms`), timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.#send({ parley: 'request', id, method, params });
    });
  }

  /** A notice without an answer; lost when the other end is gone. */
  notify(method: string, params: unknown): void {
    if (!this.#closed) this.#send({ parley: 'notice', method, params });
  }

  /** The other end is gone: fails what waits for it. */
  close(): void {
    this.#closed = true;
    for (const id of [...this.#pending.keys()]) this.#fail(id, 'the other end is gone');
  }

  #send(frame: Frame): void {
    // An error here means that the process at the other end has just ended; its exit is reported elsewhere.
    this.#port.send(frame, () => {});
  }

  #fail(id: number, why: string): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    pending.reject(new ChannelError(why));
  }

  async #onFrame({ parley, id = 0, method = '', params, value, error }: Frame): Promise<void> {
    if (parley === 'answer') {
      if (error !== undefined) this.#fail(id, error);
      const pending = this.#pending.get(id);
      if (!pending) return;
      this.#pending.delete(id);
      clearTimeout(pending.timer);
      pending.resolve(value as never);
      return;
    }
    try {
      const handler = this.#handlers[method];
      if (!handler) throw new Error(`there is no method ${method}`);
      const answer = await handler(params);
      if (parley === 'request') this.#send({ parley: 'answer', id, value: answer });
    } catch (cause) {
      if (parley === 'request') this.#send({ parley: 'answer', id, error: messageOf(cause) });
      else throw cause;
    }
  }
}
