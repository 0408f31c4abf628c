import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ParleyClient } from '../client/parley-client.ts';
import { eventually } from '../core/testing/eventually.ts';
import {
  type BreakablePart,
  type BreakableStack,
  folders,
  freePort,
  startBreakableStack,
} from '../local/testing/breakable-stack.ts';
import { type SecuredKafka, secureKafka } from '../local/testing/secured-kafka.ts';
import { ensureLocalKey, LOCAL_ISSUER, localKeyPath, signToken } from '../operator/local-token.ts';
import { createKafka, type Kafka } from '../platform/kafka/kafkajs/kafka.ts';
import { type Grant, KafkaAdmin } from '../platform/kafka/testing/kafka-admin.ts';
import { ensureTopics } from '../platform/kafka/topics.ts';
import { testLog } from '../platform/testing/topic-log.ts';
import type { VerifyReport } from '../verify/verify.ts';
import { runCli } from './program.ts';

/** The whole pipeline behind SASL_SSL and Kafka's own authorizer, each service with the rights of `deploy/kafka/acls.json`. */
type User = 'gateway' | 'enricher' | 'sink' | 'operator';
interface Right {
  readonly resource: 'topic' | 'group';
  readonly name?: string;
  readonly prefix?: string;
  readonly operations: readonly string[];
}

const PAGE = new URL('../../docs/operations.md', import.meta.url);
const ACLS = JSON.parse(readFileSync(new URL('../../deploy/kafka/acls.json', import.meta.url), 'utf8')) as Record<
  User,
  readonly Right[]
>;
const USERS = Object.keys(ACLS) as User[];

const grantsOf = (user: User, rights: readonly Right[]): Grant[] =>
  rights.flatMap(({ resource, name, prefix, operations }) =>
    operations.map((operation) => ({
      user,
      resource,
      name: name ?? prefix ?? '',
      prefixed: name === undefined,
      operation,
    })),
  );

let secured: SecuredKafka;
let system: BreakableStack;
let kafka: Kafka;
let gatewayUrl: string;
const parts = new Map<User, BreakablePart>();

const credentials = (user: User) => ({
  KAFKA_BROKERS: secured.broker,
  KAFKA_SSL: 'true',
  KAFKA_SSL_CA: secured.ca,
  KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
  KAFKA_SASL_USERNAME: user,
  KAFKA_SASL_PASSWORD: secured.password(user),
});

const allow = (grants: readonly Grant[]) => KafkaAdmin.use(kafka, (admin) => admin.allow(grants));
const withdraw = (grants: readonly Grant[]) => KafkaAdmin.use(kafka, (admin) => admin.withdraw(grants));

async function parley(...args: string[]): Promise<{ code: number; out: string }> {
  let out = '';
  const env = {
    ...credentials('operator'),
    SCHEMA_REGISTRY_URL: system.addresses.registryUrl,
    CLICKHOUSE_URL: system.addresses.clickhouseUrl,
    PARLEY_DATA_DIR: system.dataDir,
  };
  const code = await runCli(
    [...args, '--json'],
    { env, signal: new AbortController().signal },
    {
      out: (text) => {
        out += text;
      },
      err: () => {},
    },
  );
  return { code, out };
}

/** Sends messages and waits for their acks. */
async function send(run: string, count: number): Promise<void> {
  const token = await signToken({
    tenant: 'shop',
    bot: 'helper',
    roles: ['bot'],
    ttlMs: 3_600_000,
    keyPath: localKeyPath(system.dataDir),
  });
  const client = await ParleyClient.connect({ url: gatewayUrl, token });
  try {
    await Promise.all(
      Array.from({ length: count }, (_, n) =>
        client.send({ id: `${run}-${n}`, conversation_id: `c-${n % 5}`, speaker: 'user', text: `parcel number ${n}` }),
      ),
    );
  } finally {
    await client.close();
  }
}

const logOf = (part: string) => readFile(join(folders(system.dataDir).logs, `${part}.log`), 'utf8');

beforeAll(async () => {
  secured = await secureKafka(USERS);
  system = await startBreakableStack(() => {}, { secured: secured.listener });
  kafka = createKafka({ brokers: [system.addresses.kafkaBrokers], clientId: 'least-rights', log: testLog() });
  await ensureTopics(kafka, { prefix: '', partitions: 3, replicationFactor: 1 });
  for (const user of USERS) await allow(grantsOf(user, ACLS[user]));
  const port = await freePort();
  gatewayUrl = `ws://127.0.0.1:${port}/v1/stream`;
  const JWT_PUBLIC_KEY = await ensureLocalKey(localKeyPath(system.dataDir));
  for (const service of ['gateway', 'enricher', 'sink'] as const) {
    const part = system.add(service, service, {
      ...credentials(service),
      ...(service === 'gateway' && {
        GATEWAY_PORT: String(port),
        GATEWAY_WORKERS: '1',
        JWT_PUBLIC_KEY,
        JWT_ISSUER: LOCAL_ISSUER,
      }),
      TOPIC_CREATE: 'false',
    });
    parts.set(service, part);
    await part.start();
  }
  await Promise.all([...parts.values()].map((part) => part.ready()));
}, 240_000);

afterAll(async () => {
  await system?.stop();
  await secured?.remove();
});

describe('the pipeline with least rights', () => {
  it('takes, analyses and counts every message once, and an operator can verify it', async () => {
    await send('whole', 200);
    const { code, out } = await parley('verify', '--wait', '90s');
    const report = JSON.parse(out) as VerifyReport;
    expect([code, report.topics['chat.events']]).toMatchObject([0, { events: 200, enriched: 200, missing: 0 }]);
  }, 150_000);

  it.each<[User, string, Right]>([
    ['gateway', 'Write on topic chat.events', { resource: 'topic', name: 'chat.events', operations: ['Write'] }],
    ['enricher', 'Write on topic chat.enriched', { resource: 'topic', name: 'chat.enriched', operations: ['Write'] }],
    ['enricher', 'Read on topic chat.events', { resource: 'topic', name: 'chat.events', operations: ['Read'] }],
    ['sink', 'Read on group parley.sink', { resource: 'group', name: 'parley.sink', operations: ['Read'] }],
  ])(
    'says that %s lacks %s, and goes on once it has it again',
    async (user, sentence, right) => {
      const before = (await logOf(user)).length;
      const grants = grantsOf(user, [right]);
      await withdraw(grants);
      const sending = send(`without-${user}-${right.name}`, 20);
      try {
        await eventually(
          async () => {
            expect((await logOf(user)).slice(before)).toContain(sentence);
          },
          { timeoutMs: 60_000 },
        );
      } finally {
        await allow(grants);
      }
      await sending;
      const { code, out } = await parley('verify', '--wait', '90s');
      expect([code, JSON.parse(out)]).toMatchObject([0, { topics: { 'chat.events': { missing: 0, in_flight: 0 } } }]);
    },
    200_000,
  );

  it('is what docs/operations.md lists', () => {
    const page = readFileSync(PAGE, 'utf8');
    const rows = USERS.flatMap((user) =>
      ACLS[user].map(
        ({ resource, name, prefix, operations }) =>
          `| ${user} | ${resource} | \`${name ?? `${prefix}*`}\` | ${operations.join(', ')} |`,
      ),
    );
    for (const row of rows) expect(page).toContain(row);
  });
});
