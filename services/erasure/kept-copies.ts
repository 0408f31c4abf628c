import { type EpochMs, epochMs } from '../core/brands.ts';
import type { ClusterView } from '../platform/kafka/read/cluster-view.ts';
import { topicNames } from '../platform/kafka/topics.ts';

/** How long a topic may still hold what was said before the erasure: nothing takes a single record out of a log. */
export interface KeptCopy {
  readonly topic: string;
  /** Null: the topic keeps its records for ever, or the broker does not say. */
  readonly retention_ms: number | null;
  /** A record goes with its segment, which the broker closes after so long at the latest. */
  readonly segment_ms: number | null;
  /** When the last of what is there now is gone at the latest; null where it stays. */
  readonly gone_by: EpochMs | null;
}

/** The broker looks every five minutes, and deletes a file a minute later. */
const SWEEP_MS = 360_000;

const readMs = (value: string | null | undefined): number | null =>
  value != null && /^\d{1,15}$/.test(value) ? Number(value) : null;

/** By the topics' own settings. @throws {ParleyError} KAFKA_UNREACHABLE */
export async function keptCopies(view: ClusterView, prefix: string, now: EpochMs): Promise<KeptCopy[]> {
  const names = Object.values(topicNames(prefix));
  const described = await view.describeTopics(names);
  const existing = described.filter(({ topic_id }) => topic_id).map(({ topic }) => topic);
  const settings = await view.settings(existing);
  return existing.map((topic) => {
    const found = settings.get(topic) ?? {};
    const retention = readMs(found['retention.ms']);
    const segment = readMs(found['segment.ms']);
    const deletes = (found['cleanup.policy'] ?? 'delete').includes('delete');
    const goneBy =
      retention === null || segment === null || !deletes ? null : epochMs(now + retention + segment + SWEEP_MS);
    return { topic, retention_ms: deletes ? retention : null, segment_ms: segment, gone_by: goneBy };
  });
}
