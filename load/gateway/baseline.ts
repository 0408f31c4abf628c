import cluster from 'node:cluster';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { EVENT_SCHEMA } from '../../services/platform/avro/schema-files.ts';
import { clientOf } from '../../services/platform/kafka/kafkajs/client.ts';
import { createKafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { createLogger } from '../../services/platform/logger.ts';

/**
 * The baseline that the gateway is measured against: the leanest program with the same libraries that takes a message off a
 * WebSocket, encodes it, has Kafka take it on all in-sync replicas and acks it. No token, no checks, no limits, no
 * answers but acks, no metrics, nothing after an error.
 */
const [brokers = '', topic = '', workers = '1'] = process.argv.slice(2);
const LINGER_MS = 4;

interface Waiting {
  readonly key: string;
  readonly value: Buffer;
  readonly id: string;
  readonly socket: WebSocket;
}

async function serve(): Promise<void> {
  const kafka = createKafka({
    brokers: brokers.split(','),
    clientId: 'baseline',
    log: createLogger('baseline', 'silent'),
  });
  const producer = clientOf(kafka).producer({ allowAutoTopicCreation: false });
  await producer.connect();
  let waiting: Waiting[] = [];
  let sending = false;

  const flush = async () => {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await producer.send({ topic, acks: -1, messages: batch.map(({ key, value }) => ({ key, value })) });
      for (const { socket, id } of batch) socket.send(`{"type":"ack","ids":["${id}"]}`);
    }
    sending = false;
  };

  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, clientTracking: false });
  server.on('connection', (socket) => {
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data));
      const value = EVENT_SCHEMA.type.toBuffer(eventOf(frame));
      waiting.push({ key: frame.conversation_id, value, id: frame.id, socket });
      if (sending) return;
      sending = true;
      setTimeout(() => void flush(), LINGER_MS);
    });
    socket.send('{"type":"welcome"}');
  });
  server.on('listening', () => process.send?.({ port: (server.address() as AddressInfo).port }));
}

// biome-ignore lint/suspicious/noExplicitAny: a baseline checks nothing
function eventOf(frame: any): object {
  const now = Date.now();
  return {
    message_id: frame.id,
    tenant_id: 't',
    bot_id: 'b',
    conversation_id: frame.conversation_id,
    speaker: frame.speaker,
    text: frame.text,
    sent_at: frame.sent_at,
    sent_at_original: null,
    received_at: now,
    deadline_at: now + 400,
    attempt: 1,
    resent: false,
    user_id: null,
    channel: null,
    bot_version: null,
    metadata: {},
    origin: null,
    supersedes: null,
    replay_id: null,
    replay_attempt: 0,
  };
}

if (cluster.isPrimary && Number(workers) > 1) {
  let listening = 0;
  for (let i = 0; i < Number(workers); i++) {
    cluster.fork().on('message', (message) => {
      listening += 1;
      if (listening === Number(workers)) process.send?.(message);
    });
  }
} else await serve();
process.on('disconnect', () => process.exit());
