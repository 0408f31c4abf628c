import { readFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';

const REPOSITORY = new URL('../../../', import.meta.url);
/** The client library and what it stands on. */
const SERVED = /^\/services\/(client|core)\/[\w-]+\.ts$/;
const PAGE = '<!doctype html><meta charset="utf-8"><title>A page with a bot</title>';

/** A web server that gives pages the client library as it is, types stripped: no bundle, no build. */
export class ModuleServer {
  readonly #server: Server;
  /** Paths that were asked for. */
  readonly served: string[] = [];

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(String(request.url), response));
  }

  static async start(): Promise<ModuleServer> {
    const server = new ModuleServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(path: string, response: ServerResponse): Promise<void> {
    if (path === '/') {
      response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
    } else if (SERVED.test(path)) {
      const source = await readFile(new URL(`.${path}`, REPOSITORY), 'utf8');
      this.served.push(path);
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(stripTypeScriptTypes(source));
    } else response.writeHead(404).end();
  }
}
