export const SUBPROTOCOL = 'parley.v1';

/** What a transport reports. `closed` comes exactly once, at any end, and nothing after it. */
export interface TransportEvents {
  frame(data: string): void;
  /** A sign of life that is no frame: a ping. */
  alive(): void;
  closed(end: TransportEnd): void;
}

export interface TransportEnd {
  /** The close code; 1006 where there was no closing handshake. */
  readonly code: number;
  /** What the other end gave as the reason, where it gave one. */
  readonly reason?: string;
  /** What the system said, where the connection failed. */
  readonly problem?: string;
  /** The HTTP answer, where the handshake was refused and the transport can see it. */
  readonly refusal?: { readonly status: number; readonly code: string; readonly retryAfterMs: number | undefined };
}

/** One WebSocket, whichever implementation is behind it. */
export interface Connection {
  send(data: string): void;
  close(code: number, reason: string): void;
  /** Ends it without waiting for the other side. @param problem what was wrong with it. */
  terminate(problem: string): void;
}

export interface Transport {
  /** Whether {@link TransportEvents.alive} reports the gateway's pings. */
  readonly seesPings: boolean;
  open(url: string, token: string, events: TransportEvents): Connection;
}
