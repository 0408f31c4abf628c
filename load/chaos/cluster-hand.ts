import { eventually } from '../../services/core/testing/eventually.ts';
import { createKafka, type Kafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { fetchLogRanges } from '../../services/platform/kafka/read/log-ranges.ts';
import { KafkaAdmin } from '../../services/platform/kafka/testing/kafka-admin.ts';
import { groupNames, topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';

/** A broker may be killed or frozen at the same time: what is done to the cluster is done once it answers. */
const PATIENCE_MS = 60_000;
const GROWTH = 3;
/** A record must not be older than this when it is appended, which none is: INVALID_TIMESTAMP, until it is set back. */
const REFUSING = { 'message.timestamp.before.max.ms': '0' };

/** What an operator of the cluster does to Parley's topics while all runs. */
export class ClusterHand {
  readonly #kafka: Kafka;

  constructor(brokers: readonly string[]) {
    this.#kafka = createKafka({
      brokers: [...brokers],
      clientId: 'chaos-cluster',
      log: createLogger('chaos', 'silent'),
    });
  }

  /** Three partitions more. */
  async grow(topic: string): Promise<void> {
    let count: number | undefined;
    await this.#do(async (admin) => {
      const now = (await admin.leaders(topic)).size;
      // Asked again after an answer was lost: as many as were meant at first.
      count ??= now + GROWTH;
      if (now < count) await admin.grow(topic, count);
    });
  }

  /** What the enrichers have committed in chat.events is deleted; what they have not stays. */
  async deleteCommitted(): Promise<void> {
    const { events } = topicNames();
    await this.#do(async (admin) => {
      const commits = await admin.committed(groupNames().enricher, events);
      for (const { partition, start } of await fetchLogRanges(this.#kafka, events)) {
        const { offset } = commits.get(partition) ?? { offset: 0 };
        if (offset > start) await admin.cutLog(events, partition, offset);
      }
    });
  }

  /** Every record for the topic is refused from now on. */
  async refuse(topic: string): Promise<void> {
    await this.#do(async (admin) => admin.replaceSettings(topic, { ...(await admin.ownSettings(topic)), ...REFUSING }));
  }

  async accept(topic: string): Promise<void> {
    await this.#do(async (admin) => {
      const own = Object.entries(await admin.ownSettings(topic)).filter(([name]) => !(name in REFUSING));
      await admin.replaceSettings(topic, Object.fromEntries(own));
    });
  }

  /** By an admin that knows nothing of leaders that have moved. */
  async #do(work: (admin: KafkaAdmin) => Promise<void>): Promise<void> {
    await eventually(() => KafkaAdmin.use(this.#kafka, work), { timeoutMs: PATIENCE_MS });
  }
}
