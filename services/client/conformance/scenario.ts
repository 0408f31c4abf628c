import type { ConnectOptions } from './driver-process.ts';
import type { HandshakeAnswer } from './kit-gateway.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type Fields = Readonly<Record<string, Json>>;

/** What is done, or waited for; in the order of the list. Whatever is waited for has to hold what is written here, and may hold more. */
export type Step =
  /** The client connects; its options beside. */
  | { readonly connect: ConnectOptions }
  | { readonly send: Fields & { readonly id: string } }
  /** The client is closed, and waits for acks for so many milliseconds. */
  | { readonly end: number }
  /** The next handshake, as `{"path","query","token"}`; `welcome` calls the sessions `kit-1`, `kit-2` and so on. */
  | { readonly handshake: Fields }
  /** The next frame of the client's. */
  | { readonly frame: Fields }
  | { readonly say: Fields }
  /** Said over the connection before the last. */
  | { readonly say_before: Fields }
  | { readonly text: string }
  /** WebSocket pings, so many, at the interval that `welcome` announced. */
  | { readonly pings: number }
  /** The connection is cut without a closing handshake. */
  | { readonly drop: true }
  /** The gateway reads no more and answers no ping: the other end of the cable is gone. */
  | { readonly freeze: true }
  | { readonly close: readonly [code: number, reason: string] }
  /** The connection ends, from the client's side, with this code. */
  | { readonly closed: number }
  /** What became of messages: `acked`, or the code with which they were given up. */
  | { readonly settled: Readonly<Record<string, string>> }
  /** The next thing that the client tells of itself. */
  | { readonly event: Fields }
  /** Neither frame nor handshake for so many milliseconds. */
  | { readonly quiet: number };

export interface Scenario {
  readonly name: string;
  /** The rule that is tried, as one sentence. */
  readonly rule: string;
  /** How the first handshakes are answered; the next ones with `welcome`. */
  readonly handshakes?: readonly HandshakeAnswer[];
  /** How every handshake is answered. */
  readonly always?: HandshakeAnswer;
  /** What `welcome` announces beside the defaults. */
  readonly limits?: Readonly<Record<string, number>>;
  readonly steps: readonly Step[];
}

/** @returns where `actual` lacks what `expected` holds; undefined where it holds all of it. */
export function difference(expected: Json, actual: unknown, path = ''): string | undefined {
  if (typeof expected !== 'object' || expected === null) {
    // JSON has no word for what must not be there but null.
    if (Object.is(expected, actual) || (expected === null && actual === undefined)) return undefined;
    return `${path || 'it'} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`;
  }
  if (typeof actual !== 'object' || actual === null) return `${path || 'it'} is ${JSON.stringify(actual)}`;
  for (const [key, value] of Object.entries(expected)) {
    const found = difference(value, (actual as Record<string, unknown>)[key], path === '' ? key : `${path}.${key}`);
    if (found) return found;
  }
  return undefined;
}
