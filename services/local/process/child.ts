import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

const GUARD = join(import.meta.dirname, 'guard.sh');
/** What an orphan may take to end by itself after TERM, in seconds. */
const ORPHAN_GRACE_S = 4;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly onOutput: (chunk: Buffer) => void;
}

export const describeExit = ({ code, signal }: Exit): string =>
  signal === null ? `exit code ${code}` : `signal ${signal}`;

/**
 * A child that cannot outlive its starter: see `guard.sh`. It has a process group of its own, so that a Ctrl-C in the
 * terminal reaches the supervisor alone, which then stops the parts in order.
 */
export class Child {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly #process: ChildProcess;
  #ended = false;

  private constructor(child: ChildProcess, pid: number) {
    this.#process = child;
    this.pid = pid;
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#ended = true;
        // Lets the watcher go, which waits on the other end.
        child.stdio[3]?.destroy();
        resolve({ code, signal });
      });
    });
  }

  /** @throws the system's error when the process cannot be made. */
  static async start(options: ChildOptions): Promise<Child> {
    const child = spawn('/bin/sh', [GUARD, String(ORPHAN_GRACE_S), options.command, ...options.args], {
      cwd: options.cwd,
      env: options.env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    child.stdout?.on('data', options.onOutput);
    child.stderr?.on('data', options.onOutput);
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    if (child.pid === undefined) throw new Error(`${options.command} has no pid`);
    return new Child(child, child.pid);
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#ended) this.#process.kill(signal);
  }

  /** TERM, then KILL once `graceMs` has passed. */
  async stop(graceMs: number): Promise<Exit> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }
}
