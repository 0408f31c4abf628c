import { type Connection, SUBPROTOCOL, type Transport } from './transport.ts';

/** 1000, the only code beside 3000 to 4999 that the standard lets a page close with. */
const NORMAL = 1_000;
const NO_HANDSHAKE = 1_006;

/**
 * The global WebSocket of browsers and Node. It can set no header, so the token travels as a second subprotocol, and
 * it shows neither pings nor the answer to a refused handshake: the gateway says why by an `error` frame and a close code.
 */
export const globalTransport: Transport = {
  seesPings: false,
  open(url, token, events) {
    const socket = new globalThis.WebSocket(url, [SUBPROTOCOL, `bearer.${token}`]);
    let ended = false;
    const end = (code: number, reason = '') => {
      if (ended) return;
      ended = true;
      events.closed({ code, ...(reason !== '' && { reason }) });
    };
    socket.addEventListener('message', ({ data }) => {
      if (!ended) events.frame(String(data));
    });
    socket.addEventListener('close', ({ code, reason }) => end(code, reason));
    const connection: Connection = {
      send: (data) => socket.send(data),
      close: (_code, reason) => socket.close(NORMAL, reason),
      terminate: () => {
        socket.close(NORMAL);
        end(NO_HANDSHAKE);
      },
    };
    return connection;
  },
};
