import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import type { ClusterView } from '../platform/kafka/read/cluster-view.ts';
import type { LogPage } from '../platform/kafka/read/log-reader.ts';
import { groupNames, topicNames } from '../platform/kafka/topics.ts';
import type { VerifySources } from './verify.ts';
import { readViolations } from './violations.ts';

/** What `verify` reads, from the real parts. */
export function verifySources(kafka: ClusterView, clickhouse: ClickHouse, prefix: string): VerifySources {
  const { events, replay, enriched } = topicNames(prefix);
  return {
    kafka,
    readLog: (topic, partition, start, end) => readLog(kafka, topic, partition, start, end),
    query: (sql, params) => clickhouse.query(sql, { params }),
    violations: (scope, progress) => readViolations(clickhouse, scope, progress),
    topics: { events, replay, enriched },
    groups: groupNames(prefix),
  };
}

async function* readLog(
  kafka: ClusterView,
  topic: string,
  partition: number,
  start: number,
  end: number,
): AsyncGenerator<LogPage> {
  const reader = await kafka.openLogReader();
  try {
    yield* reader.pages(topic, partition, start, end);
  } finally {
    await reader.close();
  }
}
