import { execFile } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

/**
 * Named pipes through which the engine hands results over (`INTO OUTFILE`): it formats on its own threads, one
 * document from first byte to last whatever the format, and waits when nobody reads, so memory stays flat for a result
 * of any size. (chdb's own streaming restarts the format with every block and analyses on the event loop.)
 */
export class PipePool {
  readonly #free: string[];

  private constructor(paths: string[]) {
    this.#free = paths;
  }

  /** Makes `count` pipes in `dir`, all in one call: Node cannot make them itself. */
  static async create(dir: string, count: number): Promise<PipePool> {
    const paths = Array.from({ length: count }, (_, index) => join(dir, `result-${index}`));
    await promisify(execFile)('mkfifo', paths);
    return new PipePool(paths);
  }

  /** There is one pipe for each place in the lanes, so there is always a free one for whoever holds a place. */
  take(): ResultPipe {
    const path = this.#free.pop();
    if (path === undefined) throw new Error('no result pipe is free');
    return new ResultPipe(path, () => this.#free.push(path));
  }
}

export class ResultPipe {
  readonly path: string;
  readonly reader: Socket;
  readonly #giveBack: () => void;

  constructor(path: string, giveBack: () => void) {
    this.path = path;
    this.#giveBack = giveBack;
    // The reading end is there before the engine opens its own, so that neither waits for the other.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.reader = new Socket({ fd, readable: true, writable: false });
    this.reader.pause();
  }

  /** When the engine has succeeded: makes the reader see the end even if the engine never opened the pipe. */
  finish(): void {
    try {
      closeSync(openSync(this.path, constants.O_WRONLY | constants.O_NONBLOCK));
    } catch (error) {
      // ENXIO: nobody reads any more, the client has gone.
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    }
  }

  /**
   * When the engine is done with the pipe. What was not read is dropped: it stays in the pipe as long as one end is
   * open, so the next user must not get it before the reading end is closed.
   */
  async release(): Promise<void> {
    if (!this.reader.closed) await new Promise<void>((resolve) => this.reader.once('close', resolve).destroy());
    this.#giveBack();
  }
}
