import { type AddressInfo, createServer } from 'node:net';
import { ParleyError } from '../core/errors.ts';

/** A port that a part listens on and the variable that moves it. */
export interface PortClaim {
  readonly port: number;
  readonly variable: string;
}

/** The port, once it could be listened on; port 0 stands for any free one. */
function tryListen(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const { port: taken } = server.address() as AddressInfo;
      server.close(() => resolve(taken));
    });
  });
}

export const freePort = (): Promise<number> => tryListen(0);

/**
 * @throws {ParleyError} PORT_IN_USE naming port, part and variable.
 */
export async function assertPortFree(part: string, { port, variable }: PortClaim): Promise<void> {
  try {
    await tryListen(port);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'is in use by another process' : `cannot be listened on (${code})`;
    throw new ParleyError(
      'PORT_IN_USE',
      `Port ${port}, which ${part} needs, ${why}: stop that process or set ${variable} to a free port.`,
    );
  }
}
