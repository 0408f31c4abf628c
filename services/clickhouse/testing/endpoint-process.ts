import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** 10,000 lines of 300 bytes; the fuzz runner makes a million. */
const MAX_LOG_LINES = 10_000;
const MAIN = new URL('../main.ts', import.meta.url).pathname;

export interface EndpointProcess {
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
  readonly process: ChildProcess;
  /** What it has logged last, one JSON document a line. */
  readonly log: string[];
  /** Sends a signal and waits for the end; resolves with the exit code, or null after a kill. */
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>;
}

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'parley-clickhouse-test-'));
export const removeFolder = (dir: string): void => rmSync(dir, { recursive: true, force: true });

/** Starts the real endpoint as a process of its own; rejects with its last line when it ends instead of coming up. */
export async function startEndpointProcess(
  dataDir: string,
  env: Record<string, string> = {},
  cwd: string = process.cwd(),
): Promise<EndpointProcess> {
  const child = spawn(process.execPath, [MAIN], {
    cwd,
    env: {
      PATH: process.env['PATH'],
      CLICKHOUSE_DATA_DIR: dataDir,
      CLICKHOUSE_HTTP_PORT: '0',
      ADMIN_PORT: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const log: string[] = [];
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const up = new Promise<{ url: string; admin_url: string }>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      log.push(line);
      if (log.length > MAX_LOG_LINES) log.splice(0, MAX_LOG_LINES / 2);
      const entry = JSON.parse(line) as { message: string; url: string; admin_url: string };
      if (entry.message === 'clickhouse is up') resolve(entry);
    });
    exited.then((code) => reject(new EndedAtStart(code, log)), reject);
  });
  const { url, admin_url: adminUrl } = await up;
  return {
    url,
    adminUrl,
    pid: child.pid ?? 0,
    process: child,
    log,
    end: async (signal) => {
      child.kill(signal);
      return exited;
    },
  };
}

/** The endpoint ended before it came up. */
export class EndedAtStart extends Error {
  readonly code: number | null;
  readonly log: readonly string[];

  constructor(code: number | null, log: readonly string[]) {
    super(`the endpoint ended with ${code}: ${log.at(-1)}`);
    this.code = code;
    this.log = log;
  }
}

type Body = string | Uint8Array<ArrayBuffer>;
interface Options {
  readonly params?: Record<string, string>;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** Plain HTTP calls: `run` gives the body or throws it, `refusal` the status and the exception's code. */
export function createHttpClient(url: () => string) {
  const send = (body: Body | undefined, { params = {}, headers = {}, signal }: Options = {}): Promise<Response> =>
    fetch(`${url()}/?${new URLSearchParams(params)}`, {
      headers,
      ...(body !== undefined && { method: 'POST', body }),
      ...(signal && { signal }),
    });

  const run = async (sql: Body, options: Options = {}): Promise<string> => {
    const response = await send(sql, options);
    const text = await response.text();
    if (response.status !== 200) throw new Error(text);
    return text;
  };

  const refusal = async (sql: Body, options: Options = {}): Promise<[status: number, code: string | null]> => {
    const response = await send(sql, options);
    await response.arrayBuffer();
    return [response.status, response.headers.get('x-clickhouse-exception-code')];
  };

  return { send, run, refusal };
}
