import { ParleyError } from '../core/errors.ts';
import { bindOnce } from '../platform/free-port.ts';

/** A port that a part listens on and the variable that moves it. */
export interface PortClaim {
  readonly port: number;
  readonly variable: string;
}

/**
 * @throws {ParleyError} PORT_IN_USE naming port, part and variable.
 */
export async function assertPortFree(part: string, { port, variable }: PortClaim): Promise<void> {
  try {
    await bindOnce(port, '127.0.0.1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'is in use by another process' : `cannot be listened on (${code})`;
    throw new ParleyError(
      'PORT_IN_USE',
      `Port ${port}, which ${part} needs, ${why}: stop that process or set ${variable} to a free port.`,
    );
  }
}
