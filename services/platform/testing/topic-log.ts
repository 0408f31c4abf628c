import { GroupConsumer } from '../kafka/consume/group-consumer.ts';
import type { Kafka } from '../kafka/kafkajs/kafka.ts';
import type { FetchedRecord } from '../kafka/record.ts';
import { createLogger, type Logger } from '../logger.ts';
import { Metrics } from '../metrics.ts';

export interface LoggedRecord extends FetchedRecord {
  readonly partition: number;
}

/** A logger for tests: silent unless PARLEY_TEST_LOG names a level. */
export const testLog = (): Logger => createLogger('test', process.env['PARLEY_TEST_LOG'] ?? 'silent');

/**
 * Everything that stands in a topic, from its start, kept up to date: what a test observes of a service that produces.
 */
export class TopicLog {
  readonly records: LoggedRecord[] = [];
  readonly #consumer: GroupConsumer;

  private constructor(consumer: GroupConsumer, records: LoggedRecord[]) {
    this.#consumer = consumer;
    this.records = records;
  }

  static async follow(kafka: Kafka, topic: string): Promise<TopicLog> {
    const records: LoggedRecord[] = [];
    const consumer = await GroupConsumer.start({
      kafka,
      groupId: `${topic}.log-${process.pid}-${Math.random().toString(36).slice(2)}`,
      topics: [topic],
      log: testLog(),
      metrics: new Metrics('test'),
      assign: async (claim) => ({
        startAt: claim.logStart,
        take: (taken) => {
          for (const record of taken) records.push({ ...record, partition: claim.partition });
        },
        settle: async () => {},
        release: () => {},
      }),
    });
    return new TopicLog(consumer, records);
  }

  close(): Promise<void> {
    return this.#consumer.close();
  }
}
