import { readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { messageOf, ParleyError } from '../../core/errors.ts';
import { DenyList } from './deny-list.ts';

export interface DenyFileOptions {
  readonly path: string;
  /** The file cannot be read or holds something else: what was read before still counts. */
  readonly onProblem: (problem: string) => void;
  readonly onLoaded: (entries: number) => void;
}

/** Text of {@link DenyList}'s largest list with names of common length. */
const MAX_BYTES = 16 << 20;

/**
 * The deny list of a file, read again whenever the file has changed; also where a directory's symbolic link is exchanged, as
 * Kubernetes does. What cannot be read changes nothing: who was denied stays denied.
 */
export class DenyFile {
  readonly #options: DenyFileOptions;
  #list: DenyList;
  /** Size, times and inode of what was read last, whether or not it could be used. */
  #seen = '';
  #problem = '';
  #underWay = false;

  /** @throws {ParleyError} CONFIG_INVALID where the file is not there or holds something else. */
  constructor(options: DenyFileOptions) {
    this.#options = options;
    try {
      this.#list = new DenyList(readFileSync(options.path, 'utf8'));
    } catch (cause) {
      const message = `DENY_FILE ${options.path} cannot be used: ${messageOf(cause)}`;
      throw new ParleyError('CONFIG_INVALID', message, { cause });
    }
  }

  get list(): DenyList {
    return this.#list;
  }

  /** Looks whether the file has changed. Never rejects; calls while one is under way do nothing. */
  async refresh(): Promise<void> {
    if (this.#underWay) return;
    this.#underWay = true;
    const { path, onLoaded } = this.#options;
    try {
      const { size, mtimeMs, ctimeMs, ino } = await stat(path);
      const seen = [size, mtimeMs, ctimeMs, ino].join(' ');
      if (seen === this.#seen) return;
      if (size > MAX_BYTES) throw new Error(`it has ${size} bytes; allowed are ${MAX_BYTES}`);
      // A file that changes while it is read has other times afterwards and is read once more.
      this.#list = new DenyList(await readFile(path, 'utf8'));
      if (this.#seen !== '') onLoaded(this.#list.size);
      this.#seen = seen;
      this.#problem = '';
    } catch (error) {
      this.#complain(messageOf(error));
    } finally {
      this.#underWay = false;
    }
  }

  /** A fault that lasts is told once. */
  #complain(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onProblem(problem);
  }
}
