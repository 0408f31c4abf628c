import { join } from 'node:path';
import { eventually } from '../../services/core/testing/eventually.ts';
import { Child } from '../../services/local/testing/stack.ts';
import { DocumentBook } from './api/document-book.ts';
import type { ApiFaults, ApiStats } from './api/faults.ts';

const PROGRAM = join(import.meta.dirname, 'api-server.ts');

/** `api-server.ts` as a process of its own. */
export class ApiProcess {
  readonly url: string;
  readonly pid: number;
  readonly #controlUrl: string;
  readonly #child: Child;

  private constructor(child: Child, url: string, controlUrl: string) {
    this.#child = child;
    this.pid = child.pid;
    this.url = url;
    this.#controlUrl = controlUrl;
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<ApiProcess> {
    let output = '';
    const child = await Child.start({
      command: process.execPath,
      args: [PROGRAM],
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      onOutput: (chunk) => {
        output += chunk.toString();
      },
    });
    const { url, control_url } = await eventually(() => JSON.parse(output) as { url: string; control_url: string }, {
      timeoutMs: 20_000,
    }).catch((cause: unknown) => {
      throw new Error(`the load API did not start: ${output}`, { cause });
    });
    return new ApiProcess(child, url, control_url);
  }

  /** Forgets all counts; numbers of messages up to `messages` are kept in the book. */
  async reset(messages: number): Promise<void> {
    await this.#ask('POST', `/reset?messages=${messages}`);
  }

  async setFaults(faults: Partial<ApiFaults>): Promise<void> {
    await this.#ask('PUT', '/faults', JSON.stringify(faults));
  }

  async heal(): Promise<void> {
    await this.#ask('DELETE', '/faults');
  }

  async stats(): Promise<ApiStats> {
    return (await this.#ask('GET', '/stats')).json() as Promise<ApiStats>;
  }

  async book(): Promise<DocumentBook> {
    return DocumentBook.read(Buffer.from(await (await this.#ask('GET', '/book')).arrayBuffer()));
  }

  async stop(): Promise<void> {
    await this.#child.stop(5_000);
  }

  async #ask(method: string, path: string, body?: string): Promise<Response> {
    const response = await fetch(`${this.#controlUrl}${path}`, { method, ...(body !== undefined && { body }) });
    if (!response.ok) throw new Error(`the load API answered ${response.status} to ${method} ${path}`);
    return response;
  }
}
