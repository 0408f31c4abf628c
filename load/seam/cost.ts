import { randomBytes } from 'node:crypto';
import type { ContractClient } from '../../services/platform/kafka/testing/contract/adapter.ts';
import { parleyAdapter } from '../../services/platform/kafka/testing/contract/parley-adapter.ts';
import { platformaticAdapter } from './adapter.ts';

/** CPU a record of producing and of reading stretches, both clients in turn: `node load/seam/cost.ts 127.0.0.1:9092`. */
const [brokers = ''] = process.argv.slice(2);
const RECORDS = 100_000;
const PARTITIONS = 4;
const AT_ONCE = 2_000;
const VALUE = Buffer.alloc(300, 'x');
const ROUNDS = 3;

async function micros(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / RECORDS;
}

async function produce(client: ContractClient, topic: string): Promise<void> {
  const producer = await client.producer();
  for (let from = 0; from < RECORDS; from += AT_ONCE) {
    const sends = Array.from({ length: AT_ONCE }, (_, n) =>
      producer.send({ topic, partition: n % PARTITIONS, key: null, value: VALUE }),
    );
    await Promise.all(sends);
  }
  await producer.close(1_000);
}

async function read(client: ContractClient, topic: string): Promise<void> {
  let records = 0;
  for (const { partition, start, end } of await client.logRanges(topic)) {
    for await (const page of client.pages(topic, partition, start, end)) records += page.records.length;
  }
  if (records !== RECORDS) throw new Error(`read ${records} of ${RECORDS}`);
}

const adapters = { kafkajs: parleyAdapter, platformatic: platformaticAdapter };
for (let round = 1; round <= ROUNDS; round++) {
  for (const [name, adapter] of Object.entries(adapters)) {
    const client = adapter.open([brokers]);
    const admin = await client.admin();
    const topic = `seam-cost-${randomBytes(4).toString('hex')}`;
    await admin.createTopics([{ topic, partitions: PARTITIONS }]);
    const produced = await micros(() => produce(client, topic));
    const fetched = await micros(() => read(client, topic));
    await admin.deleteTopics([topic]);
    await admin.close();
    process.stdout.write(`${round} ${name}: ${produced.toFixed(1)} µs produce, ${fetched.toFixed(1)} µs fetch\n`);
  }
}
process.exit(0);
