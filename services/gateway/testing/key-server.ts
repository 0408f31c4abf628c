import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TokenMaker } from './tokens.ts';

/** A key server as an identity provider runs it: what it publishes can be changed, and it can be away. */
export class KeyServer {
  published: TokenMaker[] = [];
  status = 200;
  requests = 0;
  readonly #server = createServer(async (_, response) => {
    this.requests += 1;
    const keys = await Promise.all(this.published.map((maker) => maker.jwk()));
    response.writeHead(this.status, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/jwks`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
