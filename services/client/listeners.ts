import { ParleyClientError, textOf } from './errors.ts';
import type { ErrorFrame, Insight, NackFrame } from './frames.ts';

export interface AckedMessage {
  readonly conversation_id: string;
  /** Another content was stored first under this id, and stays. */
  readonly differs: boolean;
}

/** What a client tells as it happens. A listener may do what it likes: whatever it throws is a problem, never an end. */
export interface ClientListeners {
  onAck?(id: string, message: AckedMessage): void;
  /** Final and temporary ones; temporary ones are sent again without any doing of the caller's. */
  onNack?(nack: NackFrame): void;
  /** A frame of ours that the gateway could not answer by id: a fault of this library or of a proxy. */
  onError?(error: ErrorFrame): void;
  /** A session is open again. @param resent how many messages go out once more. */
  onReconnect?(resent: number): void;
  /** Each once; for a loop see `client.insights`. */
  onInsight?(insight: Insight): void;
  /** The gateway will close the session then. With a `tokenProvider` the client renews it before, by itself. */
  onTokenExpiring?(inMs: number): void;
  /** Something went wrong that the client handles by itself; its code is a `ProblemCode`. For logs. */
  onProblem?(problem: ParleyClientError): void;
  /** The client takes no messages any more: it was closed, or has given up, as the error says. */
  onClosed?(error: ParleyClientError): void;
}

/** Calls the caller's code. Nothing that it throws, now or as a promise, comes back into the client. */
export class Host {
  readonly #listeners: ClientListeners;
  readonly #onFailed: () => void;

  constructor(listeners: ClientListeners | undefined, onFailed: () => void) {
    this.#listeners = listeners ?? {};
    this.#onFailed = onFailed;
  }

  tell<N extends keyof ClientListeners>(name: N, ...args: Parameters<NonNullable<ClientListeners[N]>>): void {
    try {
      const listener = this.#listeners[name] as ((...args: unknown[]) => unknown) | undefined;
      const result: unknown = listener?.apply(this.#listeners, args);
      if (result instanceof Promise) result.catch((error: unknown) => this.#failed(name, error));
    } catch (error) {
      this.#failed(name, error);
    }
  }

  #failed(name: keyof ClientListeners, cause: unknown): void {
    this.#onFailed();
    if (name === 'onProblem') return;
    this.tell('onProblem', new ParleyClientError('listener_failed', `${name} threw: ${textOf(cause)}`, { cause }));
  }
}
