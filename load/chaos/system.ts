import { join } from 'node:path';
import { systemClock } from '../../services/core/clock.ts';
import {
  type BreakablePart,
  type BreakableStack,
  freePort,
  startBreakableStack,
} from '../../services/local/testing/breakable-stack.ts';
import { ensureLocalKey } from '../../services/operator/local-token.ts';
import { firstInstances } from './faults.ts';
import { Links } from './links.ts';
import { NlpCalls } from './nlp-calls.ts';
import { NlpTap } from './nlp-tap.ts';
import { quorumLeader } from './quorum.ts';

export const PARTITIONS = 6;

/** Latency of calls to the NLP API, so that there are some in flight whenever something is killed. */
const NLP_LATENCY = { NLP_LATENCY_MEAN_MS: '100', NLP_LATENCY_P99_MS: '250' };

const SETTINGS = {
  TOPIC_PARTITIONS: String(PARTITIONS),
  // Both sinks are at work; with one partition the second would stand by.
  TOPIC_ENRICHED_PARTITIONS: '2',
  SINK_SESSION_TIMEOUT_MS: '6000',
  // Retries outlast every fault of the schedule: a dead letter is poison, or wrong.
  NLP_MAX_RETRIES: '20',
  // Each message needs a call of its own, so that a repeated call shows.
  NLP_CACHE_BYTES: '0',
  RECONNECT_SPREAD_MS: '500',
};

const SERVICES = ['gateway', 'enricher', 'sink'] as const;

export interface SystemOptions {
  readonly brokers: number;
  /** For the services, beside what every run sets. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The system that is broken: the embedded parts, one gateway on a fixed port, enrichers and sinks, links between. */
export class ChaosSystem {
  readonly stack: BreakableStack;
  readonly links: Links;
  /** Calls of the enrichers to the NLP API. */
  readonly calls = new NlpCalls();
  readonly gatewayUrl: string;
  readonly keyPath: string;
  readonly #taps: NlpTap[] = [];
  readonly #env: Readonly<Record<string, string>>;

  private constructor(stack: BreakableStack, links: Links, keyPath: string, env: Readonly<Record<string, string>>) {
    this.stack = stack;
    this.links = links;
    this.gatewayUrl = `ws://127.0.0.1:${env['GATEWAY_PORT']}/v1/stream`;
    this.keyPath = keyPath;
    this.#env = env;
  }

  /** Everything up and ready. */
  static async start(report: (line: string) => void, { brokers, env = {} }: SystemOptions): Promise<ChaosSystem> {
    const stack = await startBreakableStack(report, { nlpEnv: NLP_LATENCY, brokers });
    const links = await Links.start(stack.addresses);
    const keyPath = join(stack.dataDir, 'keys/private.pem');
    const system = new ChaosSystem(stack, links, keyPath, {
      ...SETTINGS,
      TOPIC_REPLICATION: String(Math.min(3, brokers)),
      GATEWAY_PORT: String(await freePort()),
      JWT_PUBLIC_KEY: await ensureLocalKey(keyPath),
      ...env,
    });
    try {
      const names = firstInstances(brokers).map(([name]) => name);
      const services = await Promise.all(
        names.filter((name) => !stack.parts.has(name)).map((name) => system.add(name)),
      );
      await Promise.all(services.map((part) => part.start()));
      await Promise.all(services.map((part) => part.ready()));
      return system;
    } catch (error) {
      await system.stop();
      throw error;
    }
  }

  /** The part of this name; `controller` is the broker that leads the quorum now. */
  async part(name: string): Promise<BreakablePart> {
    const found = this.stack.parts.get(name === 'controller' ? await quorumLeader(this.stack.dataDir) : name);
    if (!found) throw new Error(`there is no part named ${name}`);
    return found;
  }

  /** A further instance of the service that its name begins with. */
  async add(name: string): Promise<BreakablePart> {
    const service = SERVICES.find((candidate) => name.startsWith(`${candidate}-`));
    if (!service) throw new Error(`${name} is no instance of ${SERVICES.join(', ')}`);
    const env = {
      ...this.#env,
      KAFKA_BROKERS: this.links.address(`${service}-kafka`),
      SCHEMA_REGISTRY_URL: this.#through('services-registry', this.stack.addresses.registryUrl),
      CLICKHOUSE_URL: this.#through('sink-clickhouse', this.stack.addresses.clickhouseUrl),
      ...(service === 'enricher' && { NLP_URL: await this.#tap(name) }),
    };
    return this.stack.add(name, service, env);
  }

  /** Ends everything at once. `keep` leaves the data folder, logs included. */
  async stop(options: { readonly keep?: boolean } = {}): Promise<void> {
    await this.stack.stop(options);
    await Promise.all([...this.#taps.map((tap) => tap.stop()), this.links.stop()]);
  }

  /** Which process of an instance runs now. */
  lifeOf(name: string): string {
    return `${name}#${this.stack.parts.get(name)?.lives ?? 0}`;
  }

  #through(link: 'services-registry' | 'sink-clickhouse', url: string): string {
    return url.replace(new URL(url).host, this.links.address(link));
  }

  async #tap(name: string): Promise<string> {
    const { calls, links } = this;
    const target = links.address('enricher-nlp');
    const tap = await NlpTap.start({ target, calls, clock: systemClock, life: () => this.lifeOf(name) });
    this.#taps.push(tap);
    return tap.url;
  }
}
