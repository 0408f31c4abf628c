import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../platform/free-port.ts';

/** No package ships one: where a machine has none (`apt-get install redis-server`), tests with it are skipped. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

/** A real Redis without persistence, on a port that it keeps when it is killed and started again. */
export class RedisServer {
  readonly url: string;
  readonly #port: number;
  readonly #folder: string;
  #process: ReturnType<typeof spawn> | undefined;

  private constructor(port: number, folder: string) {
    this.url = `redis://127.0.0.1:${port}`;
    this.#port = port;
    this.#folder = folder;
    this.start();
  }

  static async create(): Promise<RedisServer> {
    return new RedisServer(await freePort(), await mkdtemp(join(tmpdir(), 'parley-redis-')));
  }

  start(): void {
    this.#process = spawn('redis-server', [
      ...['--port', String(this.#port), '--bind', '127.0.0.1'],
      ...['--save', '', '--dir', this.#folder],
    ]);
  }

  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#process?.once('exit', resolve));
    this.#process?.kill('SIGKILL');
    await ended;
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
