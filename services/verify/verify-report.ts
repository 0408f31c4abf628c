import type { OffsetRange } from '../core/offset-ranges.ts';
import { type Conservation, sumConservation } from './conservation.ts';
import type { Scope } from './queries/violation-query.ts';
import type { Violation, Violations } from './violations.ts';

/** The two topics that the conservation law holds for, by their names without the prefix. */
export type SourceTopic = 'chat.events' | 'chat.replay';

export interface PartitionVerdict extends Conservation {
  readonly topic: SourceTopic;
  readonly topic_id: string;
  readonly partition: number;
  /** What was looked at: from the log's start, or the first record of the time that was asked for. */
  readonly log_start: number;
  readonly log_end: number;
  /** The enricher's committed offset, null before its first commit for this topic id. */
  readonly watermark: number | null;
  /** The first of the missing offsets, `first` to `last` inclusive; their number is `missing`. */
  readonly missing_ranges: readonly OffsetRange[];
}

/** All kinds, the comparison of `chat.enriched` with the receipts included. */
interface AllViolations extends Violations {
  /** Null unless the log was read. */
  readonly log_mismatches: Violation | null;
}

export type ViolationKind = keyof AllViolations;

export interface VerifyReport {
  /** Nothing missing, no violation, no gap that was not accepted; and nothing in flight where that was waited for. */
  readonly ok: boolean;
  /** Milliseconds since the epoch, and partitions; null where everything was looked at. */
  readonly scope: { readonly since: number | null; readonly partitions: readonly number[] | null };
  readonly topics: Readonly<Record<SourceTopic, Conservation>>;
  /** By kind; null for a kind that was not looked for. */
  readonly violations: Readonly<Record<ViolationKind, number | null>>;
  /** Some of each kind of violation, as rows. */
  readonly examples: Readonly<Record<ViolationKind, Violation['examples']>>;
  readonly by_partition: readonly PartitionVerdict[];
}

interface Findings {
  readonly partitions: readonly PartitionVerdict[];
  readonly found: AllViolations;
  readonly waited: boolean;
  readonly acceptGaps: boolean;
  readonly scope: Scope;
}

export function reportOf({ partitions, found, waited, acceptGaps, scope }: Findings): VerifyReport {
  const of = (topic: SourceTopic) => sumConservation(partitions.filter((partition) => partition.topic === topic));
  const topics = { 'chat.events': of('chat.events'), 'chat.replay': of('chat.replay') };
  const violations = mapViolations(found, (violation) => violation?.count ?? null);
  const total = sumConservation(Object.values(topics));
  const whole = total.missing === 0 && (acceptGaps || total.gaps === 0);
  const clean = whole && Object.values(violations).every((count) => (count ?? 0) === 0);
  return {
    ok: clean && (!waited || total.in_flight === 0),
    scope: { since: scope.since ?? null, partitions: scope.partitions ?? null },
    topics,
    violations,
    examples: mapViolations(found, (violation) => violation?.examples ?? []),
    by_partition: partitions,
  };
}

const mapViolations = <T>(
  found: AllViolations,
  pick: (violation: Violation | null) => T,
): Record<ViolationKind, T> => ({
  double_receipts: pick(found.double_receipts),
  double_facts: pick(found.double_facts),
  lost_facts: pick(found.lost_facts),
  rollup_mismatches: pick(found.rollup_mismatches),
  log_mismatches: pick(found.log_mismatches),
});
