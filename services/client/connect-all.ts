import { messageOf, ParleyError } from '../core/errors.ts';
import type { ClientOptions } from './options.ts';
import { ParleyClient } from './parley-client.ts';

/** Handshakes at once: enough to open 1,000 in a second or two, few enough not to crowd out the bots that are there. */
const HANDSHAKES = 32;
const CONNECT_TIMEOUT_MS = 15_000;

/**
 * One connection a token, in the order of the tokens, with the same options beside.
 *
 * @throws {ParleyError} GATEWAY_UNREACHABLE when one cannot be opened; the others are closed then.
 */
export async function connectAll(
  url: string,
  tokens: readonly string[],
  beside: Omit<ClientOptions, 'url' | 'token' | 'tokenProvider'> = {},
): Promise<ParleyClient[]> {
  const clients: ParleyClient[] = [];
  let next = 0;
  const work = async () => {
    while (next < tokens.length) {
      const index = next++;
      clients[index] = await connectClient({ ...beside, url, token: tokens[index] ?? '' });
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(HANDSHAKES, tokens.length) }, work));
    return clients;
  } catch (error) {
    next = tokens.length;
    await closeAll(clients, 0);
    throw error;
  }
}

/** @throws {ParleyError} GATEWAY_UNREACHABLE, with the reason that the client knows. */
export async function connectClient(options: ClientOptions): Promise<ParleyClient> {
  try {
    return await ParleyClient.connect({ connectTimeoutMs: CONNECT_TIMEOUT_MS, ...options });
  } catch (error) {
    const { detail } = error as { detail?: string };
    const why = detail ? `${messageOf(error)} (${detail})` : messageOf(error);
    throw new ParleyError('GATEWAY_UNREACHABLE', `The gateway at ${options.url} took no connection: ${why}.`, {
      cause: error,
    });
  }
}

/** What is not acked within `timeoutMs` is rejected with code `closed`. */
export async function closeAll(clients: readonly (ParleyClient | undefined)[], timeoutMs: number): Promise<void> {
  await Promise.all(clients.map((client) => client?.close({ timeoutMs })));
}
