import { createServer } from 'node:net';

/**
 * Below the ports that systems give to outgoing connections (Linux from 32768, others from 49152): one of those may take a
 * port that was free a moment ago before its service, which starts for seconds, listens on it.
 */
const FIRST = 10_000;
const LAST = 32_767;
const TRIES = 100;

export interface FreePortOptions {
  readonly host?: string;
  readonly random?: () => number;
}

/** A port that nobody listens on, for a service that has yet to start. */
export async function freePort({ host = '127.0.0.1', random = Math.random }: FreePortOptions = {}): Promise<number> {
  for (let tries = 1; ; tries++) {
    try {
      return await bindOnce(FIRST + Math.floor(random() * (LAST - FIRST + 1)), host);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries >= TRIES) throw error;
    }
  }
}

/**
 * Binds the port alone, and lets it go again.
 *
 * @throws the system's error, EADDRINUSE for one.
 */
export function bindOnce(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(port)));
  });
}
