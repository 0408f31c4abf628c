import { systemClock } from '../../core/clock.ts';
import { type ConfigOf, readConfig } from '../../core/config.ts';
import { createLogger } from '../../platform/logger.ts';
import { Metrics } from '../../platform/metrics.ts';
import { GATEWAY_SPEC } from '../config.ts';
import { type SharedState, serverOptions } from '../gateway.ts';
import { Intake } from '../intake/intake.ts';
import { KnownMessages } from '../intake/known-messages.ts';
import { Places } from '../limits/connection-places.ts';
import { MemoryShares, shareSizesOf } from '../limits/memory-shares.ts';
import { RateLimits } from '../limits/rate-limits.ts';
import { BucketTable } from '../limits/token-bucket.ts';
import { GatewayMetrics } from '../metrics.ts';
import { SocketServer } from '../session/socket-server.ts';
import { HandProducer } from './hand-producer.ts';
import { TokenMaker } from './tokens.ts';

/** A producer that acks at once, unless it is held. */
class AckingProducer extends HandProducer {
  held = false;
  override post(...[record, settled]: Parameters<HandProducer['post']>): void {
    super.post(record, settled);
    const last = this.sent.at(-1);
    if (!this.held) setImmediate(() => last?.ack());
  }
}

/** The gateway's own sockets, handshakes and intake on a free port, with a producer in the place of Kafka's. */
export class FrontDoor {
  readonly url: string;
  readonly server: SocketServer;
  readonly maker: TokenMaker;
  readonly producer: AckingProducer;
  readonly registry: Metrics;

  private constructor(parts: Pick<FrontDoor, 'server' | 'maker' | 'producer' | 'registry'>) {
    this.server = parts.server;
    this.maker = parts.maker;
    this.producer = parts.producer;
    this.registry = parts.registry;
    this.url = `ws://127.0.0.1:${parts.server.port}/v1/stream`;
  }

  /** @param shared what differs from one process with ample room. */
  static async open(env: Record<string, string> = {}, shared: Partial<SharedState> = {}): Promise<FrontDoor> {
    const maker = await TokenMaker.create();
    const config: ConfigOf<typeof GATEWAY_SPEC> = readConfig(GATEWAY_SPEC, {
      KAFKA_BROKERS: '127.0.0.1:1',
      SCHEMA_REGISTRY_URL: 'http://127.0.0.1:1',
      JWT_PUBLIC_KEY: maker.publicKeyPem,
      GATEWAY_PORT: '0',
      ...env,
    });
    const registry = new Metrics('gateway');
    const metrics = new GatewayMetrics(registry);
    const log = createLogger('test', 'silent');
    const producer = new AckingProducer();
    const clock = systemClock;
    const rate = config.TENANT_MESSAGES_PER_S;
    const rates = new RateLimits(config, { log, metrics: registry });
    const limits = { connections: 10_000, botConnections: 10_000, tenantConnections: 10_000 };
    const state: SharedState = {
      workers: 1,
      rates,
      bots: rates.keepFresh(
        new BucketTable({
          perSecond: config.BOT_MESSAGES_PER_S,
          burst: config.BOT_BURST,
          rateOf: rates.ofBot,
          clock,
        }),
      ),
      tenants: rates.keepFresh(new BucketTable({ perSecond: rate, burst: rate, rateOf: rates.ofTenant, clock })),
      places: new Places(limits),
      placeLimits: limits,
      maxSockets: 10_000,
      ...shared,
    };
    const intake = new Intake({
      topic: 'chat.events',
      partitions: () => 6,
      latencyBudgetMs: config.LATENCY_BUDGET_MS,
      sentAtWindow: { backMs: config.SENT_AT_BACK_MS, aheadMs: config.SENT_AT_AHEAD_MS },
      encode: (event) => Buffer.from(JSON.stringify({ ...event, metadata: [...event.metadata] })),
      producer,
      known: new KnownMessages({ maxEntries: 1_000, maxBytes: 1 << 20, windowMs: 60_000 }),
      shares: new MemoryShares(config.MAX_PENDING_BYTES, shareSizesOf(config)),
      onShareUsedUp: (share) => metrics.shareUsedUp('pending', share),
      onClamped: () => metrics.clamped.inc(),
      log,
    });
    const insights = { open: () => () => {} };
    const server = await SocketServer.listen(serverOptions(config, state, { intake, insights, metrics, log }));
    return new FrontDoor({ server, maker, producer, registry });
  }

  get metrics(): Promise<string> {
    return this.registry.registry.metrics();
  }
}
