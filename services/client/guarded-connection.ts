import { textOf } from './errors.ts';
import type { Connection, Transport, TransportEnd, TransportEvents } from './transport.ts';

const ABNORMAL = 1_006;

/**
 * A connection that throws nothing, ends exactly once, and is silent afterwards, whatever the transport does: a URL or a
 * token that it cannot take, a socket that refuses to send, an end that is reported twice or never.
 * No event comes before this returns.
 */
export function openGuarded(transport: Transport, url: string, token: string, events: TransportEvents): Connection {
  let ended = false;
  const end = (how: TransportEnd) => {
    if (ended) return;
    ended = true;
    events.closed(how);
  };
  let early: (() => void)[] | undefined = [];
  const deliver = (event: () => void) => {
    if (early) early.push(event);
    else if (!ended) event();
  };
  let inner: Connection | undefined;
  try {
    inner = transport.open(url, token, {
      frame: (data) => deliver(() => events.frame(data)),
      alive: () => deliver(() => events.alive()),
      closed: (how) => deliver(() => end(typeof how?.code === 'number' ? how : { code: ABNORMAL })),
    });
  } catch (error) {
    early.push(() => end({ code: ABNORMAL, problem: textOf(error) }));
  }
  queueMicrotask(() => {
    const events = early ?? [];
    early = undefined;
    for (const event of events) if (!ended) event();
  });
  const terminate = (problem: string) => {
    try {
      inner?.terminate(problem);
    } catch {
      // It is given up all the same.
    }
    end({ code: ABNORMAL, problem });
  };
  const attempt = (work: () => void) => {
    if (ended) return;
    try {
      work();
    } catch (error) {
      terminate(textOf(error));
    }
  };
  return {
    send: (data) => attempt(() => inner?.send(data)),
    close: (code, reason) => attempt(() => inner?.close(code, reason)),
    terminate,
  };
}
