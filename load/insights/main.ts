#!/usr/bin/env node
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { integerOption } from '../../services/operator/option-readers.ts';
import { createKafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { KafkaAdmin } from '../../services/platform/kafka/testing/kafka-admin.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { benchStack } from '../kit/bench-stack.ts';
import { sampleProcess } from '../kit/proc-stat.ts';
import { progress, runCommand } from '../kit/run-command.ts';
import type { Figures, Role } from './worker.ts';

interface Options {
  readonly rate: number;
  readonly seconds: number;
  readonly workers: number;
  readonly runs: number;
  readonly json?: true;
}

const PARTITIONS = 12;
const WARM_UP_MS = 4_000;

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
async function measure(kinds: readonly Role['kind'][], run: Run): Promise<Cost> {
  const children = kinds.map(() => fork(new URL('./worker.ts', import.meta.url)));
  // Readers first: they follow from the end.
  for (const [index, child] of children.entries())
    await ask(child, { ...run.setup, kind: kinds[index] as Role['kind'] });
  await delay(WARM_UP_MS);
  await Promise.all(children.map((child) => ask(child, 'mark')));
  const before = run.brokerMicros();
  await delay(run.seconds * 1_000);
  const broker = run.brokerMicros() - before;
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

/** What is common to the measurements of one run. */
interface Run {
  readonly setup: Omit<Role, 'kind'>;
  readonly seconds: number;
  readonly brokerMicros: () => number;
}

async function compare({ rate, seconds, workers, runs }: Options) {
  const stack = await benchStack(process.env['PARLEY_TEST_STACK'], progress, false);
  const log = createLogger('bench', 'silent');
  const kafka = createKafka({ brokers: stack.kafkaBrokers.split(','), clientId: 'bench', log });
  const prefix = `bench-insights-${randomBytes(3).toString('hex')}.`;
  const setup = {
    brokers: stack.kafkaBrokers,
    registryUrl: stack.registryUrl,
    prefix,
    outcomesTopic: `${prefix}outcomes`,
    slimTopic: `${prefix}slim`,
    partitions: PARTITIONS,
    workers,
    perSecond: rate,
  };
  const brokerMicros = () => sampleProcess(stack.pids['kafka'] as number).cpuMicros;
  const readers = <K extends Role['kind']>(kind: K): K[] => Array.from({ length: workers }, () => kind);
  const ways: readonly [string, readonly Role['kind'][]][] = [
    ['outcomes alone', ['produce']],
    ['every worker scans', [...readers('scan'), 'produce']],
    ['every worker decodes with kafkajs', [...readers('decode'), 'produce']],
    ['slim topic', [...readers('slim'), 'produce-both']],
  ];
  const admin = await KafkaAdmin.connect(kafka);
  try {
    await admin.createTopics([
      { topic: setup.outcomesTopic, partitions: PARTITIONS },
      { topic: setup.slimTopic, partitions: workers },
    ]);
    const found: Record<string, Cost[]> = {};
    for (let run = 1; run <= runs; run++) {
      for (const [way, kinds] of ways) {
        const cost = await measure(kinds, { setup, seconds, brokerMicros });
        progress(`${way}, run ${run} of ${runs}: ${cost.total} µs a message`);
        found[way] = [...(found[way] ?? []), cost];
      }
    }
    return { messages_per_s: rate, workers, cpu_micros_a_message: found };
  } finally {
    await admin.deleteTopics([setup.outcomesTopic, setup.slimTopic]);
    await admin.close();
    await stack.stop();
  }
}

const program = new Command('load insights')
  .description(
    'What it costs to bring an insight to the gateway worker that holds its socket (docs/adr/0010): every worker looking ' +
      'through the headers of chat.enriched, with our scan and with the decoding of kafkajs, against a slim topic with a ' +
      'partition a worker. Microseconds of CPU a message, by process. Linux alone: it reads /proc.',
  )
  .option('--rate <n>', 'messages a second', integerOption(1, 100_000), 8_000)
  .option('--seconds <n>', 'length of a measurement', integerOption(1, 3_600), 6)
  .option('--workers <n>', 'readers', integerOption(1, 16), 4)
  .option('--runs <n>', 'of each way, in turn', integerOption(1, 100), 3)
  .option('--json', 'on one line')
  .exitOverride()
  .action(async (options: Options) => {
    process.stdout.write(`${JSON.stringify(await compare(options), null, options.json ? 0 : 2)}\n`);
  });

await runCommand(program);
