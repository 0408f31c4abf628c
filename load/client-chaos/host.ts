/**
 * The process that must not notice: bots that send on while their gateway does its worst, with listeners and token providers
 * that throw. `URL SEED CLIENTS` are its arguments; a line on standard input ends the sending, and when all is settled it prints
 * what became of each message as one JSON document.
 */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { globalTransport } from '../../services/client/global-transport.ts';
import { ParleyClient } from '../../services/client/parley-client.ts';
import { wsTransport } from '../../services/client/ws-transport.ts';
import { type Random, seededRandom } from '../../services/core/random.ts';

const SETTLE_MS = 60_000;
const SAMPLE_MS = 1_000;
const SEND_EVERY_MS = 10;

export interface HostReport {
  readonly outcomes: Readonly<Record<string, string>>;
  readonly sent: number;
  readonly unsettled: number;
  /** Messages of which a listener was told more than once that they are acked. */
  readonly ackedTwice: number;
  readonly escaped: readonly string[];
  readonly heapMiB: { readonly first: number; readonly most: number };
  readonly reconnects: number;
  readonly resent: number;
  readonly problems: Readonly<Record<string, number>>;
}

const [url = '', seed = '1', clients = '1'] = process.argv.slice(2);
const escaped: string[] = [];
process.on('unhandledRejection', (reason) => escaped.push(`unhandled rejection: ${reason}`));
process.on('uncaughtException', (error) => escaped.push(`uncaught exception: ${error.stack}`));

process.on('warning', ({ name, message }) => escaped.push(`warning: ${name}: ${message}`));

const outcomes: Record<string, string> = {};
const problems: Record<string, number> = {};
const acks = new Map<string, number>();
let sent = 0;
let unsettled = 0;
let stopping = false;
const totals = { reconnects: 0, resent: 0 };

function sometimes(random: Random, share: number): void {
  if (random() < share) throw new Error('the caller is at fault');
}

/** Messages that cannot be sent, whose rejections nobody looks at. */
const NONSENSE = [null, {}, { id: '', conversation_id: 'c' }, { conversation_id: 'c', metadata: { big: 1n } }];

async function bot(index: number, random: Random): Promise<void> {
  const client = await ParleyClient.connect({
    url,
    insights: true,
    transport: index % 4 === 3 ? globalTransport : wsTransport,
    tokenProvider: async () => {
      sometimes(random, 0.1);
      return `token-${Math.floor(random() * 1e6)}`;
    },
    connectTimeoutMs: 120_000,
    answerTimeoutMs: 1_000,
    maxBuffered: 100,
    backoff: { minMs: 5, maxMs: 100 },
    random,
    listeners: {
      onAck: (id, { conversation_id }) => {
        const key = `${conversation_id} ${id}`;
        acks.set(key, (acks.get(key) ?? 0) + 1);
        sometimes(random, 0.05);
      },
      onNack: async () => sometimes(random, 0.2),
      onInsight: () => sometimes(random, 0.2),
      onError: () => sometimes(random, 0.2),
      onReconnect: async () => sometimes(random, 0.2),
      onTokenExpiring: () => sometimes(random, 0.2),
      onProblem: ({ code }) => {
        problems[code] = (problems[code] ?? 0) + 1;
        sometimes(random, 0.2);
      },
    },
  });
  void readInsights(client);
  for (let n = 0; !stopping; n++) {
    await client.room();
    const [id, conversation_id] = [`${n}`, `bot-${index}-${n % 3}`];
    const key = `${conversation_id} ${id}`;
    sent += 1;
    unsettled += 1;
    client.send({ id, conversation_id, speaker: 'user', text: 'x'.repeat(Math.floor(random() * 500)) }).then(
      () => settle(key, 'acked'),
      (error: { code?: string }) => settle(key, String(error.code)),
    );
    if (random() < 0.05) void client.send(NONSENSE[Math.floor(random() * NONSENSE.length)] as never);
    await sleep(random() * 2 * SEND_EVERY_MS);
  }
  const until = performance.now() + SETTLE_MS;
  while (client.pending > 0 && performance.now() < until) await sleep(20);
  totals.reconnects += client.counters.reconnects;
  totals.resent += client.counters.resent;
  await client.close({ timeoutMs: 0 });
}

function settle(key: string, outcome: string): void {
  unsettled -= 1;
  outcomes[key] = key in outcomes ? 'settled twice' : outcome;
}

async function readInsights(client: ParleyClient): Promise<void> {
  let seen = 0;
  for await (const _ of client.insights) if (++seen % 100 === 0) await sleep(50);
}

const heap: number[] = [];
const sampler = setInterval(() => {
  globalThis.gc?.();
  // What the test itself remembers of each message is not the client's.
  heap.push((process.memoryUsage().heapUsed - sent * BYTES_A_MESSAGE) / 2 ** 20);
}, SAMPLE_MS);
/** Two keys, two entries of tables and an outcome, as measured with a client that does nothing: some 400 bytes. */
const BYTES_A_MESSAGE = 400;

createInterface({ input: process.stdin }).once('line', () => {
  stopping = true;
});
const bots = Array.from({ length: Number(clients) }, (_, index) =>
  bot(index, seededRandom(Number(seed) * 1_000 + index)),
);
await Promise.all(bots.map((running) => running.catch((error: unknown) => escaped.push(`a bot ended: ${error}`))));
clearInterval(sampler);
// What is late escapes now.
await sleep(200);
const report: HostReport = {
  outcomes,
  sent,
  unsettled,
  ackedTwice: [...acks.values()].filter((count) => count > 1).length,
  escaped,
  heapMiB: { first: Math.round(heap[0] ?? 0), most: Math.round(Math.max(0, ...heap)) },
  ...totals,
  problems,
};
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit());
