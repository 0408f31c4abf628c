import { systemClock } from '../core/clock.ts';
import { readConfig } from '../core/config.ts';
import { ChatCodec } from '../platform/avro/codec.ts';
import { BatchProducer } from '../platform/kafka/batch-producer.ts';
import { ClusterView } from '../platform/kafka/cluster-view.ts';
import { createKafka } from '../platform/kafka/kafka.ts';
import { TailReader } from '../platform/kafka/tail-reader.ts';
import { ensureTopics, topicNames } from '../platform/kafka/topics.ts';
import { type RunningService, runService, type ServiceContext } from '../platform/lifecycle.ts';
import { AckFlusher } from './ack-flusher.ts';
import { createAuthenticator } from './auth.ts';
import { GATEWAY_SPEC, type GatewayConfig, limitsOf } from './config.ts';
import { GatewayMetrics } from './gateway-metrics.ts';
import { STREAM_PATH } from './handshake.ts';
import { InsightFeed } from './insights/insight-feed.ts';
import { Intake } from './intake.ts';
import { KnownMessages } from './known-messages.ts';
import { SocketServer } from './socket-server.ts';
import { BucketTable } from './token-bucket.ts';

const PRODUCER_CLOSE_MS = 2_000;

async function start({ env, log, metrics: registry, instance }: ServiceContext): Promise<RunningService> {
  const config = readConfig(GATEWAY_SPEC, env);
  const authenticate = createAuthenticator({
    publicKeyPem: config.JWT_PUBLIC_KEY,
    jwksUrl: config.JWKS_URL,
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    leewayS: config.JWT_LEEWAY_S,
  });
  const metrics = new GatewayMetrics(registry);
  const names = topicNames(config.TOPIC_PREFIX);
  const kafka = createKafka({ brokers: config.KAFKA_BROKERS, clientId: instance, log });
  // First, because it says plainly that Kafka is away, where the next steps would only fail.
  const view = await ClusterView.connect(kafka, config.KAFKA_BROKERS);
  const { partitions } = await ensureTopics(kafka, {
    prefix: config.TOPIC_PREFIX,
    partitions: config.TOPIC_PARTITIONS,
    replicationFactor: config.TOPIC_REPLICATION,
  });
  const codec = await ChatCodec.connect({ registryUrl: config.SCHEMA_REGISTRY_URL, topicNames: names });
  const producer = await BatchProducer.connect(kafka, {
    lingerMs: config.PRODUCE_LINGER_MS,
    lanes: config.PRODUCE_LANES,
    maxPendingBytes: config.MAX_PENDING_BYTES,
    ttlMs: config.KAFKA_ACK_TIMEOUT_MS,
    log,
    metrics: registry,
  });
  const intake = new Intake({
    topic: names.events,
    partitions,
    latencyBudgetMs: config.LATENCY_BUDGET_MS,
    encode: (event) => codec.encodeEvent(event),
    producer,
    known: new KnownMessages({
      maxEntries: config.DEDUP_MAX_ENTRIES,
      maxBytes: config.DEDUP_MAX_BYTES,
      windowMs: config.DEDUP_WINDOW_MS,
    }),
    onClamped: () => metrics.clamped.inc(),
    log,
  });
  const insights = new InsightFeed({
    follow: (since, take) => new TailReader({ kafka, topic: names.enriched, partitions, since, take, log }),
    decode: (value) => codec.decodeOutcome(value),
    maxUnreadBytes: config.MAX_SEND_BUFFER_BYTES / 4,
    clock: systemClock,
    metrics: registry,
    log,
  });
  const server = await SocketServer.listen(serverOptions(config, { authenticate, intake, insights, metrics, log }));
  metrics.watch({ connections: () => server.connections, inFlight: () => intake.inFlight });
  return {
    url: `ws://${config.GATEWAY_HOST}:${server.port}${STREAM_PATH}`,
    checks: {
      kafka: async () => {
        await view.logRanges(names.events);
        return {};
      },
      registry: codec.check,
    },
    stop: async () => {
      await server.drain();
      await insights.close();
      // What still waits has had the whole drain: its clients know that it was not acked.
      await producer.close(PRODUCER_CLOSE_MS);
      await view.close();
    },
  };
}

interface Parts {
  readonly authenticate: ReturnType<typeof createAuthenticator>;
  readonly intake: Intake;
  readonly insights: InsightFeed;
  readonly metrics: GatewayMetrics;
  readonly log: ServiceContext['log'];
}

function serverOptions(config: GatewayConfig, { authenticate, intake, insights, metrics, log }: Parts) {
  const clock = systemClock;
  const tenantRate = config.TENANT_MESSAGES_PER_S;
  return {
    host: config.GATEWAY_HOST,
    port: config.GATEWAY_PORT,
    authenticate,
    allowedOrigins: config.ALLOWED_ORIGINS,
    maxConnections: config.MAX_CONNECTIONS,
    reconnectSpreadMs: config.RECONNECT_SPREAD_MS,
    drainTimeoutMs: config.DRAIN_TIMEOUT_MS,
    insights,
    session: {
      limits: limitsOf(config),
      maxSendBufferBytes: config.MAX_SEND_BUFFER_BYTES,
      maxMalformedPerMinute: config.MAX_MALFORMED_PER_MINUTE,
      leewayS: config.JWT_LEEWAY_S,
      intake,
      bots: new BucketTable({ perSecond: config.BOT_MESSAGES_PER_S, burst: config.BOT_BURST, clock }),
      tenants: new BucketTable({ perSecond: tenantRate, burst: tenantRate, clock }),
      acks: new AckFlusher(),
      clock,
      metrics,
      log,
      random: Math.random,
    },
  };
}

// Twice the longest drain that can be configured: the drain ends by itself long before.
await runService({ name: 'gateway', env: process.env, adminPort: 9480, drainTimeoutMs: 240_000, start });
