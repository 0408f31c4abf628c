import { readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { messageOf, ParleyError } from '../../core/errors.ts';

export interface WatchedFilesOptions<T> {
  /** For messages: the variable that names them. */
  readonly variable: string;
  readonly paths: readonly string[];
  readonly maxBytes: number;
  /** @throws {Error} for contents that cannot be used */
  readonly parse: (contents: readonly string[]) => T;
  /** What is there cannot be used: what was read before still counts. Called once for a fault that lasts. */
  readonly onProblem: (problem: string) => void;
  readonly onLoaded: (value: T) => void;
}

/**
 * What some files hold, read again whenever one has changed; also where a directory's symbolic link is exchanged, as
 * Kubernetes does. Contents that cannot be used change nothing.
 */
export class WatchedFiles<T> {
  readonly #options: WatchedFilesOptions<T>;
  #value: T;
  /** Size, times and inode of what was used last. */
  #used: string | undefined;
  #problem = '';
  #underWay = false;

  /** @throws {ParleyError} CONFIG_INVALID where a file is not there or cannot be used. */
  constructor(options: WatchedFilesOptions<T>) {
    this.#options = options;
    const { variable, paths, parse } = options;
    try {
      this.#value = parse(paths.map((path) => readFileSync(path, 'utf8')));
    } catch (cause) {
      const message = `${variable} ${paths.join(', ')} cannot be used: ${messageOf(cause)}`;
      throw new ParleyError('CONFIG_INVALID', message, { cause });
    }
  }

  get value(): T {
    return this.#value;
  }

  /** Looks whether a file has changed. Never rejects; calls while one is under way do nothing. */
  async refresh(): Promise<void> {
    if (this.#underWay) return;
    this.#underWay = true;
    const { paths, parse, onLoaded } = this.#options;
    try {
      const seen = await this.#state();
      if (seen === this.#used) return;
      // A file that changes while it is read has other times afterwards and is read once more.
      this.#value = parse(await Promise.all(paths.map((path) => readFile(path, 'utf8'))));
      const isFirst = this.#used === undefined;
      this.#used = seen;
      this.#problem = '';
      if (!isFirst) onLoaded(this.#value);
    } catch (error) {
      this.#complain(messageOf(error));
    } finally {
      this.#underWay = false;
    }
  }

  async #state(): Promise<string> {
    const { paths, maxBytes } = this.#options;
    const states = await Promise.all(paths.map((path) => stat(path)));
    const large = states.find(({ size }) => size > maxBytes);
    if (large) throw new Error(`it has ${large.size} bytes; allowed are ${maxBytes}`);
    return states.map(({ size, mtimeMs, ctimeMs, ino }) => [size, mtimeMs, ctimeMs, ino].join(' ')).join(', ');
  }

  #complain(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onProblem(problem);
  }
}
