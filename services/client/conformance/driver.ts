/** Drives the TypeScript client for the conformance kit: commands on standard input, events on standard output (README.md). */
import { createInterface } from 'node:readline';
import type { ParleyClientError } from '../errors.ts';
import type { OutgoingMessage } from '../frames.ts';
import { ParleyClient } from '../parley-client.ts';

interface Connect {
  readonly url: string;
  readonly backoff: { readonly min_ms: number; readonly max_ms: number };
  readonly tokens?: readonly (string | null)[];
  readonly insights?: boolean;
  readonly max_buffered?: number;
  readonly connect_timeout_ms?: number;
}
type Command = { readonly client: string } & (
  | ({ readonly do: 'connect' } & Connect)
  | { readonly do: 'send'; readonly message: OutgoingMessage & { readonly id: string } }
  | { readonly do: 'close'; readonly timeout_ms: number }
);

const clients = new Map<string, Promise<ParleyClient | undefined>>();
const tell = (client: string, event: string, fields: object = {}) =>
  void process.stdout.write(`${JSON.stringify({ client, event, ...fields })}\n`);
const codesOf = (error: unknown) => {
  const { code, detail } = error as ParleyClientError;
  return { code, ...(detail !== undefined && { detail }) };
};

async function connect(name: string, { tokens = ['token'], ...options }: Connect): Promise<ParleyClient | undefined> {
  const left = [...tokens];
  const tokenProvider = () => {
    const token = left.length > 1 ? left.shift() : left[0];
    if (token === null || token === undefined) throw new Error('no token now');
    return token;
  };
  const [only] = tokens;
  let connected = false;
  try {
    const client = await ParleyClient.connect({
      url: options.url,
      ...(tokens.length === 1 && typeof only === 'string' ? { token: only } : { tokenProvider }),
      backoff: { minMs: options.backoff.min_ms, maxMs: options.backoff.max_ms },
      ...(options.insights && { insights: true }),
      ...(options.max_buffered && { maxBuffered: options.max_buffered }),
      ...(options.connect_timeout_ms && { connectTimeoutMs: options.connect_timeout_ms }),
      listeners: {
        onInsight: ({ id, conversation_id }) => tell(name, 'insight', { id, conversation_id }),
        onClosed: (error) => {
          if (connected && error.code !== 'closed') tell(name, 'given_up', codesOf(error));
        },
      },
    });
    connected = true;
    tell(name, 'connected');
    return client;
  } catch (error) {
    tell(name, 'failed', codesOf(error));
    return undefined;
  }
}

async function carryOut(command: Command): Promise<void> {
  const name = command.client;
  if (command.do === 'connect') {
    clients.set(name, connect(name, command));
    return;
  }
  const client = await clients.get(name);
  if (command.do === 'close') {
    await client?.close({ timeoutMs: command.timeout_ms });
    tell(name, 'ended');
  } else {
    const { id } = command.message;
    client?.send(command.message).then(
      () => tell(name, 'acked', { id }),
      (error: unknown) => tell(name, 'refused', { id, ...codesOf(error) }),
    );
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => void carryOut(JSON.parse(line) as Command))
  .on('close', () => process.exit());
