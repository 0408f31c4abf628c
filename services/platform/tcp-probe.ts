import { connect } from 'node:net';

/**
 * Whether somebody listens there. Clients that keep a connection go on trying where it is refused at once: whoever
 * waits for a command wants to know now.
 *
 * @throws what the connection failed with.
 */
export function tcpProbe(host: string, port: number, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    const end = (settle: () => void) => () => {
      socket.destroy();
      settle();
    };
    socket.once('connect', end(resolve));
    socket.once(
      'timeout',
      end(() => reject(new Error(`${host}:${port} does not answer`))),
    );
    socket.once('error', reject);
  });
}
