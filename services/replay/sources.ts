import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import type { ClusterView } from '../platform/kafka/cluster-view.ts';
import { groupNames, topicNames } from '../platform/kafka/topics.ts';
import type { VerifySources } from './verify.ts';
import { readViolations } from './violations.ts';

/** What `verify` reads, from the real parts. */
export function verifySources(kafka: ClusterView, clickhouse: ClickHouse, prefix: string): VerifySources {
  const { events, replay, enriched } = topicNames(prefix);
  return {
    kafka,
    query: (sql, params) => clickhouse.query(sql, { params }),
    violations: () => readViolations(clickhouse),
    topics: { events, replay, enriched },
    groups: groupNames(prefix),
  };
}
