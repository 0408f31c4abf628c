import { generateKeyPairSync } from 'node:crypto';
import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BreakablePart } from '../../local/testing/breakable-part.ts';
import { type EmbeddedParts, embeddedParts } from '../../local/testing/embedded-parts.ts';
import { type ServiceHandle, spawnService, stopServices } from '../../local/testing/stack.ts';
import { ReflexWorld } from './testing/reflex-world.ts';

/** Kafka's disk is wiped under running services while ClickHouse keeps all: with it go topics, offsets and schemas. */
const PARTITIONS = 3;
const names = { TOPIC_PREFIX: '', CLICKHOUSE_DATABASE: 'parley' };
const JWT_PUBLIC_KEY = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
let embedded: EmbeddedParts;
let world: ReflexWorld;
const parts = new Map<string, BreakablePart>();

/** A part that finds out anew what has to be made before its first start. */
async function bringUp(...wanted: readonly string[]): Promise<void> {
  for (const part of embedded.parts.filter(({ name }) => wanted.includes(name))) {
    parts.set(part.name, new BreakablePart(part, embedded.dataDir));
  }
  const started = wanted.map((name) => parts.get(name) as BreakablePart);
  await Promise.all(started.map((part) => part.start()));
  await Promise.all(started.map((part) => part.ready()));
}

const connect = () => ReflexWorld.connect({ addresses: embedded.addresses, names, partitions: PARTITIONS });

async function startServices(): Promise<ServiceHandle[]> {
  const { kafkaBrokers, registryUrl, clickhouseUrl, nlpUrl } = embedded.addresses;
  const env = {
    ...names,
    TOPIC_PARTITIONS: String(PARTITIONS),
    KAFKA_BROKERS: kafkaBrokers,
    SCHEMA_REGISTRY_URL: registryUrl,
    CLICKHOUSE_URL: clickhouseUrl,
    NLP_URL: nlpUrl,
  };
  const services = await Promise.all([
    spawnService('gateway', { ...env, JWT_PUBLIC_KEY }),
    spawnService('enricher', env),
    spawnService('sink', env),
  ]);
  await Promise.all(services.map((service) => service.ready()));
  return services;
}

async function wipeKafka(): Promise<void> {
  for (const name of ['kafka', 'registry']) await parts.get(name)?.kill();
  const folder = join(embedded.dataDir, 'kafka');
  await access(folder);
  await rm(folder, { recursive: true });
  await bringUp('kafka');
  await bringUp('registry');
}

beforeAll(async () => {
  embedded = await embeddedParts(() => {});
  await bringUp('kafka', 'registry', 'clickhouse', 'nlp');
  world = await connect();
}, 180_000);

afterAll(async () => {
  await stopServices();
  await world.close();
  await Promise.all([...parts.values()].map((part) => part.kill()));
  await rm(embedded.dataDir, { recursive: true, force: true });
});

describe('Kafka wiped while ClickHouse is kept', () => {
  it('services end with a code; the next ones make topics and schemas, lose nothing and confuse nothing', async () => {
    const before = await startServices();
    await world.send('old', 120);
    await world.expectWhole();
    const oldId = await world.topicId(world.topics.events);
    const acked = [...world.acked];

    await wipeKafka();
    for (const service of before) {
      expect([service.name, (await service.exited).code]).toEqual([service.name, 1]);
      expect(service.logs()).toContain('"code":"CLUSTER_CHANGED"');
    }
    await world.close();
    await startServices();
    world = await connect();
    for (const id of acked) world.acked.add(id);
    expect(await world.topicId(world.topics.events)).not.toBe(oldId);

    // The new topics begin at the offsets that the old ones had: receipts of the old must not be taken for theirs.
    await world.send('new', 120);
    // Bots that had no ack when Kafka went send again what stands in ClickHouse since long.
    await world.send('old', 20, { attempt: 2, resent: true });
    const { topics } = await world.expectWhole();
    expect(topics['chat.events']).toMatchObject({ events: 140, enriched: 120, duplicate_receipts: 20, missing: 0 });
    expect(world.acked.size).toBe(240);
  }, 150_000);
});
