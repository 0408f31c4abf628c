import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const MAX_BYTES = 10 * 1024 * 1024;

/** A log file of bounded size: past `maxBytes` it becomes `<path>.1` (replacing the one before) and starts anew. */
export class LogFile {
  readonly path: string;
  readonly #maxBytes: number;
  #descriptor: number;
  #bytes: number;

  constructor(path: string, maxBytes = MAX_BYTES) {
    mkdirSync(dirname(path), { recursive: true });
    this.path = path;
    this.#maxBytes = maxBytes;
    this.#descriptor = openSync(path, 'a');
    this.#bytes = fstatSync(this.#descriptor).size;
  }

  write(chunk: Buffer): void {
    try {
      if (this.#bytes > 0 && this.#bytes + chunk.length > this.#maxBytes) this.#rotate();
      this.#bytes += writeSync(this.#descriptor, chunk);
    } catch {
      // A full disk costs log lines, never the part that writes them.
    }
  }

  /** The last lines, for a message about why a part ended. */
  tail(lines: number): string[] {
    const text = readFileSync(this.path, 'utf8').trimEnd();
    return text === '' ? [] : text.split('\n').slice(-lines);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #rotate(): void {
    closeSync(this.#descriptor);
    renameSync(this.path, `${this.path}.1`);
    this.#descriptor = openSync(this.path, 'a');
    this.#bytes = 0;
  }
}
