import { WebSocket } from 'ws';
import { LatencyHistogram } from '../../services/operator/latency-histogram.ts';
import type { ClientCommand, ClientReport, SendPlan } from './client-protocol.ts';

/**
 * One process of bots for the gateway's benchmarks, commanded by its parent. Bare sockets instead of the client
 * library: it has to cost less than what it measures.
 */
const sockets: WebSocket[] = [];
const closes: Record<string, number> = {};
const refusals: Record<string, number> = {};
/** Sockets that are ended on purpose: their closes do not count. */
const dropped = new WeakSet<WebSocket>();
let latencies = new LatencyHistogram();
let counts = { sent: 0, acked: 0, nacked: 0 };
let onAck: () => void = () => {};
/** When each message in flight was sent; its id is its index. */
const sentAtMs = new Float64Array(1 << 20);

const reply = (report: ClientReport) => process.send?.(report);

function onFrame(data: Buffer): void {
  const frame = JSON.parse(String(data)) as { type: string; ids?: string[] };
  if (frame.type === 'nack' || frame.type === 'error') {
    counts.nacked += 1;
    onAck();
  }
  for (const id of frame.ids ?? []) {
    const at = Number.parseInt(id.slice(id.indexOf('-') + 1), 36);
    counts.acked += 1;
    latencies.record(performance.now() - (sentAtMs[at & (sentAtMs.length - 1)] ?? 0));
    onAck();
  }
}

/**
 * The port that a socket leaves from. The kernel's own choice for a bound address walks the ports in use: with thousands
 * of sockets that took four fifths of the machine, at the clients' end, and was measured as the gateway's.
 */
let portsGiven = 0;
const FIRST_PORT = 10_000;
const PORTS = 50_000;
const nextPort = (): number => FIRST_PORT + (portsGiven++ % PORTS);

/** Opens one socket; comes back after a refusal that is temporary, as a client would. */
function openOne(url: string, token: string, localAddress: string, index: number): Promise<void> {
  return new Promise((resolve) => {
    const attempt = (triesSoFar: number) => {
      const localPort = nextPort();
      const socket = new WebSocket(url, 'parley.v1', {
        headers: { authorization: `Bearer ${token}` },
        perMessageDeflate: false,
        localAddress,
        localPort,
      } as never);
      let isOpen = false;
      socket.on('open', () => {
        isOpen = true;
        sockets[index] = socket;
        resolve();
      });
      socket.on('message', onFrame);
      let portTaken = false;
      const refused = (why: string) => {
        refusals[why] = (refusals[why] ?? 0) + 1;
      };
      socket.on('unexpected-response', (_, response) => {
        refused(String(response.statusCode));
        response.destroy();
        socket.terminate();
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (isOpen) return;
        portTaken = error.code === 'EADDRINUSE';
        if (!portTaken) refused(error.code ?? error.message);
      });
      socket.on('close', (code) => {
        if (isOpen) {
          if (!dropped.has(socket)) closes[code] = (closes[code] ?? 0) + 1;
          return;
        }
        if (portTaken) attempt(triesSoFar);
        else setTimeout(() => attempt(triesSoFar + 1), Math.random() * Math.min(20_000, 500 * 2 ** triesSoFar));
      });
    };
    attempt(0);
  });
}

async function open({ url, tokens, sources, handshakes }: Extract<ClientCommand, { do: 'open' }>): Promise<void> {
  let next = 0;
  const started = performance.now();
  const work = async () => {
    while (next < tokens.length) {
      const index = next++;
      await openOne(url, tokens[index] as string, sources[index % sources.length] as string, index);
    }
  };
  await Promise.all(Array.from({ length: handshakes }, work));
  reply({ did: 'open', ms: performance.now() - started, refusals });
}

let sequence = 0;
const prefix = process.pid.toString(36);
const TEXT = 'Where is my parcel? I was told that it would be here yesterday.';

function sendOne(): void {
  const socket = sockets[sequence % sockets.length] as WebSocket;
  const at = sequence++;
  sentAtMs[at & (sentAtMs.length - 1)] = performance.now();
  counts.sent += 1;
  const conversation = at % (sockets.length * 4);
  socket.send(
    `{"type":"message","id":"${prefix}-${at.toString(36)}","conversation_id":"c${conversation}","speaker":"user","text":"${TEXT}","sent_at":${Date.now()}}`,
  );
}

/** Sends at a fixed rate whatever the answers do, or with a fixed number of messages outstanding. */
async function send({ ratePerS, outstanding, seconds }: SendPlan): Promise<void> {
  latencies = new LatencyHistogram();
  counts = { sent: 0, acked: 0, nacked: 0 };
  const started = performance.now();
  const endMs = started + seconds * 1_000;
  if (outstanding !== undefined) {
    onAck = () => {
      if (performance.now() < endMs) sendOne();
    };
    for (let i = 0; i < outstanding; i++) sendOne();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  } else {
    for (let now = started; now < endMs; now = performance.now()) {
      const due = ((now - started) / 1_000) * ratePerS;
      while (counts.sent < due) sendOne();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  onAck = () => {};
  const elapsedMs = performance.now() - started;
  for (let i = 0; i < 200 && counts.acked + counts.nacked < counts.sent; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  reply({ did: 'send', ...counts, elapsedMs, latencies: latencies.encoded() });
}

process.on('message', (command: ClientCommand) => {
  switch (command.do) {
    case 'open':
      void open(command);
      return;
    case 'send':
      void send(command.plan);
      return;
    case 'status': {
      const open = sockets.filter((socket) => socket?.readyState === WebSocket.OPEN).length;
      reply({ did: 'status', open, closes, rss: process.memoryUsage.rss() });
      return;
    }
    case 'drop':
      for (const socket of sockets.splice(0)) {
        dropped.add(socket);
        socket.terminate();
      }
      reply({ did: 'drop' });
      return;
  }
});
process.on('disconnect', () => process.exit());
