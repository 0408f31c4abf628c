import { join } from 'node:path';
import {
  type BreakablePart,
  type BreakableStack,
  freePort,
  startBreakableStack,
} from '../../services/local/testing/breakable-stack.ts';
import { ensureLocalKey } from '../../services/platform/local-token.ts';
import { FIRST_INSTANCES } from './plan.ts';

export const PARTITIONS = 6;

/** Of calls to the NLP API: so that there are some in flight whenever something is killed. */
const NLP_LATENCY = { NLP_LATENCY_MEAN_MS: '100', NLP_LATENCY_P99_MS: '250' };

const SETTINGS = {
  TOPIC_PARTITIONS: String(PARTITIONS),
  SINK_SESSION_TIMEOUT_MS: '6000',
  // Retries outlast every fault of the schedule: a dead letter is poison, or wrong.
  NLP_MAX_RETRIES: '20',
  RECONNECT_SPREAD_MS: '500',
};

const SERVICES = ['gateway', 'enricher', 'sink'] as const;

/** The system that is broken: the embedded parts, one gateway on a fixed port, enrichers and sinks. */
export class ChaosSystem {
  readonly stack: BreakableStack;
  readonly gatewayUrl: string;
  readonly keyPath: string;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(stack: BreakableStack, gatewayPort: number, keyPath: string, publicKey: string) {
    this.stack = stack;
    this.gatewayUrl = `ws://127.0.0.1:${gatewayPort}/v1/stream`;
    this.keyPath = keyPath;
    this.#env = { ...SETTINGS, GATEWAY_PORT: String(gatewayPort), JWT_PUBLIC_KEY: publicKey };
  }

  /** Everything up and ready. */
  static async start(report: (line: string) => void): Promise<ChaosSystem> {
    const stack = await startBreakableStack(report, NLP_LATENCY);
    try {
      const keyPath = join(stack.dataDir, 'keys/private.pem');
      const system = new ChaosSystem(stack, await freePort(), keyPath, await ensureLocalKey(keyPath));
      const services = FIRST_INSTANCES.filter(([name]) => !stack.parts.has(name)).map(([name]) => system.add(name));
      await Promise.all(services.map((part) => part.start()));
      await Promise.all(services.map((part) => part.ready()));
      return system;
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  part(name: string): BreakablePart {
    const part = this.stack.parts.get(name);
    if (!part) throw new Error(`there is no part named ${name}`);
    return part;
  }

  /** A further instance; its name says of which service. */
  add(name: string): BreakablePart {
    const service = SERVICES.find((candidate) => name.startsWith(`${candidate}-`));
    if (!service) throw new Error(`${name} is no instance of ${SERVICES.join(', ')}`);
    return this.stack.add(name, service, this.#env);
  }
}
