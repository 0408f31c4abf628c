import { systemClock } from '../core/clock.ts';
import { ParleyError } from '../core/errors.ts';
import { ChatCodec } from '../platform/avro/codec.ts';
import { registryAccess } from '../platform/avro/registry-access.ts';
import { kafkaConnection } from '../platform/kafka/connection.ts';
import { createKafka, type Kafka } from '../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../platform/kafka/produce/batch-producer.ts';
import { ChatPartitions } from '../platform/kafka/produce/chat-partitions.ts';
import { ClusterView } from '../platform/kafka/read/cluster-view.ts';
import { TailReader } from '../platform/kafka/read/tail-reader.ts';
import { TopicWatch } from '../platform/kafka/read/topic-watch.ts';
import { ensureTopics, topicNames, topicOptions } from '../platform/kafka/topics.ts';
import type { RunningService, ServiceContext } from '../platform/lifecycle.ts';
import { startStep } from '../platform/start-step.ts';
import { startTracing } from '../platform/tracing/tracing.ts';
import { type GatewayConfig, limitsOf } from './config.ts';
import { type Authenticate, type AuthOptions, createAuthenticator } from './handshake/auth.ts';
import { DenyList } from './handshake/deny-list.ts';
import { STREAM_PATH } from './handshake/handshake.ts';
import { HandshakeAdmission } from './handshake/handshake-admission.ts';
import { RedisDenyList } from './handshake/redis-deny-list.ts';
import { type DenySource, Revocation } from './handshake/revocation.ts';
import { TrustedProxies } from './handshake/trusted-proxies.ts';
import { HttpApi } from './http/http-api.ts';
import { MessagePosts } from './http/post-messages.ts';
import { InsightFeed } from './insights/insight-feed.ts';
import type { Presence, Wanted } from './insights/subscribers.ts';
import { Intake } from './intake/intake.ts';
import { KnownMessages } from './intake/known-messages.ts';
import type { ConnectionPlaces, PlaceLimits } from './limits/connection-places.ts';
import { MemoryShares, shareSizesOf } from './limits/memory-shares.ts';
import type { RateLimits } from './limits/rate-limits.ts';
import type { Buckets } from './limits/token-bucket.ts';
import { GatewayMetrics } from './metrics.ts';
import { type Certificate, parseCertificate } from './network/connection-front.ts';
import { WatchedFiles } from './network/watched-files.ts';
import { AckFlusher } from './session/ack-flusher.ts';
import { UnsentBudget } from './session/outbox.ts';
import type { GoawayRequest, Selector } from './session/session-control.ts';
import { type InsightDelivery, SocketServer, type SocketServerOptions } from './session/socket-server.ts';

const PRODUCER_CLOSE_MS = 2_000;
/** Records in a full batch: a send costs about as much CPU as encoding these, larger batches gain little more. */
const ENOUGH_RECORDS = 100;

/** Other systems let the supervisor accept and hand connections over, which is slower (docs/adr/0009). */
const PORT_CAN_BE_SHARED = process.platform === 'linux';

/** Limits and places that the processes of one gateway share, as one of them sees them. */
export interface SharedState {
  /** Processes that the budgets of connections, bytes and entries are divided by. */
  readonly workers: number;
  readonly rates: RateLimits;
  readonly bots: Buckets;
  readonly tenants: Buckets;
  readonly places: ConnectionPlaces;
  readonly placeLimits: PlaceLimits;
  /** TCP connections that this process may have. */
  readonly maxSockets: number;
  /** What the other processes have of a session. */
  readonly elsewhere?: (wanted: Wanted) => Promise<Presence>;
  /** Notifies the other processes of a safe message whose bot has gone and may come back to one of them. */
  readonly onUnheard?: (messageKey: string) => void;
}

/** One process that serves bots: the whole gateway, or one of its workers. */
export interface Gateway extends RunningService {
  readonly url: string;
  readonly known: KnownMessages;
  readonly connections: () => number;
  /** What this process has of a session. */
  readonly presenceOf: (wanted: Wanted) => Presence;
  /** Takes no further connections; open ones go on. */
  readonly stopListening: () => void;
  /** From now on load balancers are told to send nothing new; all else goes on. */
  readonly announceDrain: () => void;
  /** Ends the selected sessions. @returns how many */
  readonly disconnect: (selector: Selector) => number;
  /** Says goaway to a share of the selected sessions. @returns to how many */
  readonly sendAway: (request: GoawayRequest) => number;
}

export const authOptions = (config: GatewayConfig, log: ServiceContext['log']): AuthOptions => ({
  publicKeyPem: config.JWT_PUBLIC_KEY,
  jwksUrl: config.JWKS_URL,
  issuer: config.JWT_ISSUER,
  audience: config.JWT_AUDIENCE,
  leewayS: config.JWT_LEEWAY_S,
  maxLifeS: config.MAX_TOKEN_LIFE_S,
  claims: {
    bot: config.JWT_BOT_CLAIM,
    tenant: config.JWT_TENANT_CLAIM,
    roles: config.JWT_ROLES_CLAIM,
    conversation: config.JWT_CONVERSATION_CLAIM,
    user: config.JWT_USER_CLAIM,
    speaker: config.JWT_SPEAKER_CLAIM,
  },
  jwksMaxAgeMs: config.JWKS_MAX_AGE_MS,
  jwksCooldownMs: config.JWKS_COOLDOWN_MS,
  onKeyProblem: (problem) => log.warn({ problem }, 'the key server at JWKS_URL gave no key set'),
});

type Context = Pick<ServiceContext, 'env' | 'log' | 'metrics' | 'instance' | 'fail'>;

export async function startGateway(config: GatewayConfig, shared: SharedState, context: Context): Promise<Gateway> {
  const { env, log, metrics: registry, instance } = context;
  const metrics = new GatewayMetrics(registry);
  const names = topicNames(config.TOPIC_PREFIX);
  const kafka = createKafka({ ...kafkaConnection(config), clientId: instance, log });
  // The cluster view comes first: its error names Kafka, where the next steps would only fail.
  const view = await startStep(log, 'Kafka', ClusterView.connect(kafka, config.KAFKA_BROKERS));
  const { counts } = await startStep(log, 'topics', ensureTopics(kafka, { ...topicOptions(config), log }));
  const partitions = new ChatPartitions(names, counts, log);
  const codec = await startStep(
    log,
    'schemas',
    ChatCodec.connect({ registry: registryAccess(config), topicNames: names }),
  );
  const producer = await startStep(log, 'producer', connectProducer(config, shared, kafka, context));
  const tracer = await startTracing({ env, service: 'gateway', instance, log, metrics: registry });
  const known = new KnownMessages({
    maxEntries: Math.ceil(config.DEDUP_MAX_ENTRIES / shared.workers),
    maxBytes: Math.ceil(config.DEDUP_MAX_BYTES / shared.workers),
    windowMs: config.DEDUP_WINDOW_MS,
  });
  const intake = new Intake({
    topic: names.events,
    partitions: () => partitions.count,
    latencyBudgetMs: config.LATENCY_BUDGET_MS,
    sentAtWindow: { backMs: config.SENT_AT_BACK_MS, aheadMs: config.SENT_AT_AHEAD_MS },
    encode: (event) => codec.encodeEvent(event),
    producer,
    known,
    shares: new MemoryShares(Math.ceil(config.MAX_PENDING_BYTES / shared.workers), shareSizesOf(config)),
    onShareUsedUp: (share) => metrics.shareUsedUp('pending', share),
    onClamped: () => metrics.clamped.inc(),
    ...(shared.onUnheard && { onUnheard: shared.onUnheard }),
    tracer,
    log,
  });
  const insights = new InsightFeed({
    follow: (since, take) => new TailReader({ kafka, topic: names.enriched, since, take, log }),
    decode: (value) => codec.decodeOutcome(value),
    elsewhere: shared.elsewhere,
    maxUnreadBytes: config.MAX_SEND_BUFFER_BYTES / 4,
    clock: systemClock,
    metrics: registry,
    log,
  });
  const options = serverOptions(config, shared, { intake, insights, metrics, log });
  const server = await SocketServer.listen(options);
  metrics.watch({
    connections: () => server.connections,
    inFlight: () => intake.inFlight,
    unsentBytes: () => options.session.unsent.bytes,
  });
  // Schema ids, topics and known messages belong to this cluster and are wrong for any other.
  const watch = TopicWatch.start({
    kafka,
    topics: [names.events, names.dlq, names.replay],
    log,
    metrics: registry,
    onIds: () => {},
    onPartitions: (found) => partitions.note(found),
    onOtherCluster: context.fail,
  });
  return {
    url: `${config.GATEWAY_TLS_CERT === undefined ? 'ws' : 'wss'}://${config.GATEWAY_HOST}:${server.port}${STREAM_PATH}`,
    known,
    connections: () => server.connections,
    presenceOf: (wanted) => insights.presenceOf(wanted),
    stopListening: () => server.stopListening(),
    announceDrain: () => server.announceDrain(),
    disconnect: (selector) => server.disconnect(selector),
    sendAway: (request) => server.sendAway(request),
    checks: {
      kafka: async () => {
        await view.logRanges(names.events);
        return {};
      },
    },
    // Its schemas are registered and kept: the registry is asked for those of later enrichers' insights alone.
    advisory: { registry: codec.check },
    stop: async () => {
      watch.close();
      await server.drain();
      await insights.close();
      // Records that still wait have had the whole drain: their clients have no ack for them.
      await producer.close(PRODUCER_CLOSE_MS);
      await view.close();
      await tracer?.close();
    },
  };
}

const connectProducer = (config: GatewayConfig, { workers }: SharedState, kafka: Kafka, { log, metrics }: Context) =>
  BatchProducer.connect(kafka, {
    lingerMs: config.PRODUCE_LINGER_MS,
    maxLingerMs: Math.max(config.PRODUCE_LINGER_MS, config.PRODUCE_MAX_LINGER_MS),
    enoughRecords: ENOUGH_RECORDS,
    lanes: config.PRODUCE_LANES,
    maxPendingBytes: Math.ceil(config.MAX_PENDING_BYTES / workers),
    ttlMs: config.KAFKA_ACK_TIMEOUT_MS,
    log,
    metrics,
  });

interface Parts {
  readonly intake: Intake;
  readonly insights: InsightDelivery;
  readonly metrics: GatewayMetrics;
  readonly log: ServiceContext['log'];
}

/** The text of a full list with names of common length. */
const MAX_DENY_FILE_BYTES = 16 << 20;

/** @throws {ParleyError} CONFIG_INVALID */
function denyFileOf(config: GatewayConfig, metrics: GatewayMetrics, log: ServiceContext['log']): DenySource[] {
  const path = config.DENY_FILE;
  if (path === undefined) return [];
  const file = new WatchedFiles({
    variable: 'DENY_FILE',
    paths: [path],
    maxBytes: MAX_DENY_FILE_BYTES,
    parse: ([text = '']) => new DenyList(text),
    onProblem: (problem) => {
      metrics.denyFileProblem();
      log.warn({ path, problem }, 'DENY_FILE cannot be used as it is now; what was read before still counts');
    },
    onLoaded: ({ size }) => log.info({ path, entries: size }, 'DENY_FILE was read again'),
  });
  return [file];
}

/** @throws {ParleyError} CONFIG_INVALID */
function denyRedisOf(config: GatewayConfig, metrics: GatewayMetrics, log: ServiceContext['log']): DenySource[] {
  const { DENY_REDIS_KEY: key, REDIS_URL: url } = config;
  if (key === undefined) return [];
  if (url === undefined) {
    throw new ParleyError('CONFIG_INVALID', 'DENY_REDIS_KEY is set and REDIS_URL is not; allowed is both or none');
  }
  return [new RedisDenyList({ url, key, log, onFailure: (why) => metrics.denyRedisFailure(why) })];
}

const revocationOf = (config: GatewayConfig, metrics: GatewayMetrics, log: ServiceContext['log']) =>
  new Revocation(createAuthenticator(authOptions(config, log)), [
    ...denyFileOf(config, metrics, log),
    ...denyRedisOf(config, metrics, log),
  ]);

const MAX_CERTIFICATE_BYTES = 1 << 20;

/** @throws {ParleyError} CONFIG_INVALID */
function certificateOf(config: GatewayConfig, log: ServiceContext['log']): WatchedFiles<Certificate> | undefined {
  const { GATEWAY_TLS_CERT: cert, GATEWAY_TLS_KEY: key } = config;
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new ParleyError(
      'CONFIG_INVALID',
      'GATEWAY_TLS_CERT and GATEWAY_TLS_KEY belong together; allowed is both or none',
    );
  }
  return new WatchedFiles({
    variable: 'GATEWAY_TLS_CERT and GATEWAY_TLS_KEY',
    paths: [cert, key],
    maxBytes: MAX_CERTIFICATE_BYTES,
    parse: parseCertificate,
    onProblem: (problem) => log.warn({ cert, key, problem }, 'the certificate cannot be exchanged; the old one serves'),
    onLoaded: () => log.info({ cert }, 'the certificate was exchanged'),
  });
}

/** @throws {ParleyError} CONFIG_INVALID: without a list anybody could claim any address. */
function proxyProtocolOf({ PROXY_PROTOCOL, TRUSTED_PROXIES }: GatewayConfig): boolean {
  if (PROXY_PROTOCOL === 'on' && TRUSTED_PROXIES.rules.length === 0) {
    throw new ParleyError(
      'CONFIG_INVALID',
      'PROXY_PROTOCOL is on and TRUSTED_PROXIES is empty; name the load balancers',
    );
  }
  return PROXY_PROTOCOL === 'on';
}

const admissionOf = (config: GatewayConfig, shared: SharedState, proxies: TrustedProxies, authenticate: Authenticate) =>
  new HandshakeAdmission({
    authenticate,
    allowedOrigins: config.ALLOWED_ORIGINS,
    proxies,
    places: shared.places,
    connectionsPerS: Math.ceil(config.CONNECTIONS_PER_S / shared.workers),
    failuresPerS: Math.ceil(config.FAILED_HANDSHAKES_PER_S / shared.workers),
    placeLimits: shared.placeLimits,
    clock: systemClock,
  });

/** @internal for tests that need no Kafka. */
export function serverOptions(
  config: GatewayConfig,
  shared: SharedState,
  { intake, insights, metrics, log }: Parts,
): SocketServerOptions {
  const clock = systemClock;
  const rules = { limits: limitsOf(config), textTooLong: config.TEXT_TOO_LONG };
  const { bots, tenants, rates } = shared;
  const random = Math.random;
  const posts = new MessagePosts({ rules, rates, intake, bots, tenants, clock, metrics, random });
  const revocation = revocationOf(config, metrics, log);
  const proxies = new TrustedProxies(config.TRUSTED_PROXIES, config.SOURCE_HEADER);
  const admission = admissionOf(config, shared, proxies, revocation.authenticate);
  return {
    host: config.GATEWAY_HOST,
    port: config.GATEWAY_PORT,
    reusePort: shared.workers > 1 && PORT_CAN_BE_SHARED,
    admission,
    revocation,
    proxies,
    proxyProtocol: proxyProtocolOf(config),
    certificate: certificateOf(config, log),
    maxSockets: shared.maxSockets,
    maxReceivingBytes: Math.ceil(config.MAX_RECEIVING_BYTES / shared.workers),
    handshakeTimeoutMs: config.HANDSHAKE_TIMEOUT_MS,
    reconnectSpreadMs: config.RECONNECT_SPREAD_MS,
    handoverMs: config.DRAIN_HANDOVER_MS,
    drainTimeoutMs: config.DRAIN_TIMEOUT_MS,
    insights,
    api: new HttpApi({ admission, posts, metrics, random, log }),
    session: {
      rules,
      maxSendBufferBytes: config.MAX_SEND_BUFFER_BYTES,
      unsent: new UnsentBudget({
        maxBytes: Math.ceil(config.MAX_UNSENT_BYTES / shared.workers),
        shares: shareSizesOf(config),
        onShareUsedUp: (share) => metrics.shareUsedUp('unsent', share),
      }),
      maxMalformedPerMinute: config.MAX_MALFORMED_PER_MINUTE,
      maxRefusedInARow: config.MAX_REFUSED_IN_A_ROW,
      leewayS: config.JWT_LEEWAY_S,
      tokenWarningMs: config.TOKEN_WARNING_MS,
      intake,
      rates,
      bots,
      tenants,
      acks: new AckFlusher(),
      clock,
      metrics,
      log,
      random,
    },
  };
}
