import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createKafka } from '../../services/platform/kafka/kafka.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { readSettings } from '../../services/platform/operator/settings.ts';
import { parseCpuMicros } from '../enricher/proc-stat.ts';
import type { Figures, Role } from './worker.ts';

/**
 * What it costs to bring an insight to the gateway worker that holds its socket: every worker looking through the headers
 * of chat.enriched, with our scan and with kafkajs's decoding, against a slim topic with a partition a worker. Prints one
 * JSON document: microseconds of CPU a message, by process (docs/adr/0010).
 *
 *     node load/insights/main.ts --broker-pid PID [--rate 8000] [--seconds 6] [--workers 4]
 */
const { values } = parseArgs({
  options: {
    'broker-pid': { type: 'string' },
    rate: { type: 'string', default: '8000' },
    seconds: { type: 'string', default: '6' },
    workers: { type: 'string', default: '4' },
  },
});
const settings = readSettings(process.env);
const prefix = `bench-insights-${randomBytes(3).toString('hex')}.`;
const setup = {
  brokers: settings.KAFKA_BROKERS.join(','),
  registryUrl: settings.SCHEMA_REGISTRY_URL,
  prefix,
  outcomesTopic: `${prefix}outcomes`,
  slimTopic: `${prefix}slim`,
  partitions: 12,
  workers: Number(values.workers),
  perSecond: Number(values.rate),
};
const WARM_UP_MS = 4_000;

const brokerMicros = (): number => {
  const pid = values['broker-pid'];
  return pid === undefined ? Number.NaN : parseCpuMicros(readFileSync(`/proc/${pid}/stat`, 'latin1'));
};

const ask = (child: ChildProcess, command: Role | string): Promise<unknown> =>
  new Promise((resolve) => {
    child.once('message', resolve);
    child.send(command);
  });

/** Microseconds of CPU a message; `readers` is the sum over all of them. */
interface Cost {
  readonly producer: number;
  readonly readers: number;
  readonly broker: number;
  readonly total: number;
  readonly messages: number;
  readonly records_read: readonly number[];
}

/** Runs the processes side by side and gives each one's CPU, and the broker's, by message produced. */
async function measure(kinds: readonly Role['kind'][]): Promise<Cost> {
  const children = kinds.map(() => fork(new URL('./worker.ts', import.meta.url)));
  // Readers first: they follow from the end.
  for (const [index, child] of children.entries()) await ask(child, { ...setup, kind: kinds[index] as Role['kind'] });
  await delay(WARM_UP_MS);
  await Promise.all(children.map((child) => ask(child, 'mark')));
  const before = brokerMicros();
  await delay(Number(values.seconds) * 1_000);
  const broker = brokerMicros() - before;
  const figures = (await Promise.all(children.map((child) => ask(child, 'figures')))) as Figures[];
  await Promise.all(
    children.map((child) => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.send('stop');
      return ended;
    }),
  );
  const messages = figures.at(-1)?.records ?? 0;
  const perMessage = (micros: number) => Math.round((micros / messages) * 10) / 10;
  const micros = figures.map(({ cpuMicros }) => cpuMicros);
  const all = micros.reduce((sum, each) => sum + each, 0);
  return {
    producer: perMessage(micros.at(-1) ?? 0),
    readers: perMessage(all - (micros.at(-1) ?? 0)),
    broker: perMessage(broker),
    total: perMessage(all + broker),
    messages,
    records_read: figures.slice(0, -1).map(({ records }) => records),
  };
}

const kafka = createKafka({
  brokers: setup.brokers.split(','),
  clientId: 'bench',
  log: createLogger('bench', 'silent'),
});
const admin = kafka.admin();
await admin.connect();
const topics = [
  { topic: setup.outcomesTopic, numPartitions: setup.partitions },
  { topic: setup.slimTopic, numPartitions: setup.workers },
];
await admin.createTopics({ topics, waitForLeaders: true });
try {
  const readers = <K extends Role['kind']>(kind: K): K[] => Array.from({ length: setup.workers }, () => kind);
  const runs: [string, readonly Role['kind'][]][] = [
    ['outcomes alone', ['produce']],
    ['every worker scans', [...readers('scan'), 'produce']],
    ['every worker decodes with kafkajs', [...readers('decode'), 'produce']],
    ['slim topic', [...readers('slim'), 'produce-both']],
  ];
  const found: Record<string, Cost> = {};
  for (const [name, kinds] of runs) found[name] = await measure(kinds);
  const { perSecond, workers } = setup;
  process.stdout.write(
    `${JSON.stringify({ messages_per_s: perSecond, workers, cpu_micros_a_message: found }, null, 2)}\n`,
  );
} finally {
  await admin.deleteTopics({ topics: topics.map(({ topic }) => topic) });
  await admin.disconnect();
}
