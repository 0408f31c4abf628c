import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnService, stack } from '../../services/local/testing/stack.ts';
import { botIdentities } from '../../services/operator/bots.ts';
import { ensureLocalKey, tokenSigner } from '../../services/operator/local-token.ts';
import { createKafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { ensureTopics, topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';

const PARTITIONS = 12;
const TENANTS = 100;
const DAY_MS = 86_400_000;

/** What is measured: the gateway, or the baseline. */
export interface SystemUnderTest {
  readonly url: string;
  readonly pid: number;
  readonly adminUrl: string | undefined;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Resolves when it has ended, with its exit code. */
  readonly ended: Promise<number | null>;
  readonly stop: () => Promise<void>;
}

/** Topics, a key and tokens of one benchmark, on the stack of `PARLEY_TEST_STACK`. */
export class Bench {
  readonly prefix = `bench_${randomBytes(3).toString('hex')}.`;
  readonly #folder: string;
  readonly #publicKey: string;

  private constructor(folder: string, publicKey: string) {
    this.#folder = folder;
    this.#publicKey = publicKey;
  }

  static async create(): Promise<Bench> {
    const folder = await mkdtemp(join(tmpdir(), 'parley-bench-'));
    const bench = new Bench(folder, await ensureLocalKey(join(folder, 'private.pem')));
    await ensureTopics(bench.kafka(), { prefix: bench.prefix, partitions: PARTITIONS, replicationFactor: 1 });
    return bench;
  }

  get brokers(): string[] {
    return stack().kafkaBrokers.split(',');
  }

  kafka() {
    return createKafka({ brokers: this.brokers, clientId: 'bench', log: createLogger('bench', 'silent') });
  }

  get events(): string {
    return topicNames(this.prefix).events;
  }

  async tokens(count: number): Promise<string[]> {
    const sign = await tokenSigner(join(this.#folder, 'private.pem'));
    return await Promise.all(
      botIdentities(count, TENANTS).map((bot) => sign({ ...bot, roles: ['bot'], ttlMs: DAY_MS })),
    );
  }

  async gateway(workers: number, env: Record<string, string> = {}): Promise<SystemUnderTest> {
    const service = await spawnService('gateway', {
      TOPIC_PREFIX: this.prefix,
      TOPIC_PARTITIONS: String(PARTITIONS),
      JWT_PUBLIC_KEY: this.#publicKey,
      GATEWAY_WORKERS: String(workers),
      ...env,
    });
    await service.ready();
    return {
      url: service.url,
      pid: service.pid,
      adminUrl: service.adminUrl,
      signal: (signal) => service.signal(signal),
      ended: service.exited.then(({ code }) => code),
      stop: async () => void (await service.kill('SIGKILL')),
    };
  }

  async baseline(workers: number): Promise<SystemUnderTest> {
    const child = fork(join(import.meta.dirname, 'baseline.ts'), [stack().kafkaBrokers, this.events, String(workers)]);
    const { port } = await new Promise<{ port: number }>((resolve, reject) => {
      child.once('message', (message) => resolve(message as { port: number }));
      child.once('exit', () => reject(new Error('the baseline ended')));
    });
    return {
      url: `ws://127.0.0.1:${port}/v1/stream`,
      pid: child.pid ?? 0,
      adminUrl: undefined,
      signal: (signal) => child.kill(signal),
      ended: new Promise((resolve) => child.once('exit', resolve)),
      stop: async () => void child.kill('SIGKILL'),
    };
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
