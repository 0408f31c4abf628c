import { decodeLedger } from '../../services/core/ledger-metadata.ts';
import { eventually } from '../../services/core/testing/eventually.ts';
import { createKafka, type Kafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { ClusterView } from '../../services/platform/kafka/read/cluster-view.ts';
import { LogReader } from '../../services/platform/kafka/read/log-reader.ts';
import { fetchTopicIds } from '../../services/platform/kafka/read/topic-ids.ts';
import { KafkaAdmin } from '../../services/platform/kafka/testing/kafka-admin.ts';
import { groupNames, topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { readOutcomeHeaders } from '../../services/platform/record-headers.ts';
import type { CommittedLedger, LoggedOutcome } from './kill-account.ts';

/** Below the session timeout: until then no other member has the partitions of a killed enricher. */
const READ_COMMITTED_MS = 3_000;

/** What the enrichers left in Kafka: outcomes and commits, read past every faulty link. */
export class EnricherLog {
  readonly #kafka: Kafka;
  readonly #brokers: readonly string[];

  constructor(brokers: string) {
    this.#brokers = brokers.split(',');
    const log = createLogger('chaos', 'silent');
    this.#kafka = createKafka({ brokers: [...this.#brokers], clientId: 'chaos-enricher-log', log });
  }

  /** By partition of `chat.events`; null when Kafka does not answer in time. */
  async committed(): Promise<ReadonlyMap<number, CommittedLedger> | null> {
    const deadline = performance.now() + READ_COMMITTED_MS;
    try {
      const ledgers = await eventually(() => this.#readCommitted(), { timeoutMs: READ_COMMITTED_MS });
      return performance.now() <= deadline ? ledgers : null;
    } catch {
      return null;
    }
  }

  /** All outcomes by message id. */
  async outcomes(): Promise<ReadonlyMap<string, readonly LoggedOutcome[]>> {
    const { enriched } = topicNames();
    const found = new Map<string, LoggedOutcome[]>();
    const view = await ClusterView.connect(this.#kafka, this.#brokers);
    const reader = await LogReader.connect(this.#kafka);
    try {
      for (const range of await view.logRanges(enriched)) {
        for await (const records of reader.read(enriched, range.partition, range.start, range.end)) {
          for (const { headers, timestamp } of records) {
            const identity = readOutcomeHeaders(headers);
            if (!identity || identity.outcome === 'provisional') continue;
            const { messageId, source } = identity;
            const { topic, partition, offset } = source;
            const outcome = { topic, partition, offset, atMs: timestamp };
            found.set(messageId, [...(found.get(messageId) ?? []), outcome]);
          }
        }
      }
    } finally {
      await Promise.all([view.close(), reader.close()]);
    }
    return found;
  }

  async #readCommitted(): Promise<ReadonlyMap<number, CommittedLedger>> {
    const { events } = topicNames();
    const admin = await KafkaAdmin.connect(this.#kafka, 0);
    try {
      const topicId = (await fetchTopicIds(this.#kafka, [events])).get(events);
      if (!topicId) throw new Error(`${events} does not exist`);
      const commits = await admin.committed(groupNames().enricher, events);
      return new Map(
        [...commits].map(([partition, { offset: watermark, metadata }]) => [
          partition,
          { watermark, completed: new Set(decodeLedger(metadata, topicId, watermark).completed) },
        ]),
      );
    } finally {
      await admin.close();
    }
  }
}
