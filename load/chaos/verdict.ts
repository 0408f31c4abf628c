import { systemClock } from '../../services/core/clock.ts';
import { messageOf } from '../../services/core/errors.ts';
import { eventually } from '../../services/core/testing/eventually.ts';
import type { ClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { createKafka } from '../../services/platform/kafka/kafkajs/kafka.ts';
import { ClusterView } from '../../services/platform/kafka/read/cluster-view.ts';
import { topicNames } from '../../services/platform/kafka/topics.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { type LoggedRecord, TopicLog } from '../../services/platform/testing/topic-log.ts';
import { expectExactlyOnce } from '../../services/verify/exactly-once.ts';
import { verifySources } from '../../services/verify/sources.ts';
import { type VerifyReport, verify } from '../../services/verify/verify.ts';

export interface RunVerdictInput {
  readonly brokers: readonly string[];
  readonly clickhouse: ClickHouse;
  readonly acked: ReadonlySet<string>;
  /** Every value that was put on `chat.events` and is no event. */
  readonly poison: readonly Buffer[];
  readonly waitMs: number;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

export interface RunVerdict {
  readonly verify: VerifyReport;
  /** Distinct source records in `chat.dlq`. */
  readonly deadLetters: number;
  readonly violations: readonly string[];
}

/** Acks, poison, log, facts, receipts and rollups against each other, once nothing is in flight any more. */
export async function judge(input: RunVerdictInput): Promise<RunVerdict> {
  const { brokers, clickhouse, acked, poison, waitMs, signal, progress } = input;
  const log = createLogger('chaos', 'silent');
  const kafka = createKafka({ brokers: [...brokers], clientId: 'chaos-verdict', log });
  const view = await ClusterView.connect(kafka, brokers);
  try {
    const report = await verify(verifySources(view, clickhouse, ''), {
      clock: systemClock,
      waitMs,
      signal,
      progress: (line) => progress(`verify: ${line}`),
    });
    const ranges = await view.logRanges(topicNames().dlq);
    const standing = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    const dlq = await TopicLog.follow(kafka, topicNames().dlq);
    const letters = await eventually(() => {
      if (dlq.records.length < standing) throw new Error(`${dlq.records.length} of ${standing} dead letters read`);
      return deadLetters(dlq.records);
    }).finally(() => dlq.close());
    const exactlyOnce = await expectExactlyOnce(clickhouse, [...acked, ...letters.keys()]).catch(messageOf);
    return {
      verify: report,
      deadLetters: letters.size,
      violations: [...verifyViolations(report), ...poisonViolations(letters, poison), exactlyOnce ?? []].flat(),
    };
  } finally {
    await view.close();
  }
}

/** By the id under which the facts have them. A letter may stand there twice: only its outcome is exactly once. */
export function deadLetters(records: readonly Pick<LoggedRecord, 'headers' | 'value'>[]): Map<string, Buffer | null> {
  const header = ({ headers }: Pick<LoggedRecord, 'headers'>, name: string) => headers[`dlq-${name}`]?.toString();
  return new Map(
    records.map((record) => {
      const origin = ['origin-topic-id', 'origin-partition', 'origin-offset'].map((name) => header(record, name));
      return [`dead:${origin.join(':')}`, record.value];
    }),
  );
}

/** Dead letters are the poison, byte for byte, and nothing else. */
export function poisonViolations(letters: ReadonlyMap<string, Buffer | null>, poison: readonly Buffer[]): string[] {
  const text = (value: Buffer | null) => value?.toString('latin1') ?? '';
  const put = new Set(poison.map(text));
  const found = new Set([...letters.values()].map(text));
  const strange = [...letters].filter(([, value]) => !put.has(text(value))).map(([id]) => id);
  const lost = [...put].filter((value) => !found.has(value)).length;
  return [
    ...(strange.length > 0 ? [`${strange.length} dead letters are no poison: ${strange.slice(0, 5).join(', ')}`] : []),
    ...(lost > 0 ? [`${lost} of ${put.size} poison records have no dead letter`] : []),
  ];
}

function verifyViolations({ ok, topics, violations, examples, by_partition }: VerifyReport): string[] {
  const { missing, in_flight, gaps } = topics['chat.events'];
  const holes = by_partition
    .filter((partition) => partition.missing > 0)
    .map(({ partition, missing_ranges }) => ({ partition, missing_ranges }));
  return [
    ...(ok ? [] : [`verify is not ok: ${JSON.stringify({ missing, in_flight, holes, violations, examples })}`]),
    ...(gaps > 0 ? [`${gaps} records are recorded as gaps, though nothing was removed`] : []),
  ];
}
