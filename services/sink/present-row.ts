import type { MessageKey } from '../core/message-key.ts';
import type { ChatOutcome } from '../core/records.ts';
import { finite, latencyOf, scoreE4, timeWithin } from './clamps.ts';

/** What the sink has to know of a message's row in `messages`: to judge a later record, and to take the row back. */
export interface PresentRow extends MessageKey {
  /** Milliseconds since the epoch, as all times here. */
  readonly sent_at: number;
  readonly sent_at_original: number;
  readonly outcome: string;
  readonly revision: number;
  readonly sentiment_label: string;
  readonly sentiment_e4: number;
  readonly toxicity_score: number;
  /** Latency of the message's first answer. */
  readonly latency_ms: number;
  /** 1 where it counts in the rollups; undefined in a decision of before migration 5. */
  readonly latency_counts?: 0 | 1;
  readonly origin_topic_id: string;
  readonly origin_partition: number;
  readonly origin_offset: number;
}

export type Verdict =
  /** The message's first row, or nothing is known of an earlier one. */
  | { readonly kind: 'first' }
  /** It changes nothing. */
  | { readonly kind: 'duplicate' }
  /** It takes the place of this row. */
  | { readonly kind: 'replace'; readonly replaced: PresentRow };

const RANK: Readonly<Record<string, number>> = { dead_lettered: 1, degraded: 2, enriched: 3 };
const rankOf = (outcome: string): number => RANK[outcome] ?? 0;

export interface Candidate {
  readonly outcome: string;
  readonly revision: number;
  readonly supersedes: number | null;
}

/**
 * By what is there (docs/architecture.md, "Revisions"): nothing: a first row. The same revision, a newer one or something better there: a duplicate. Older
 * and no better: replaced.
 */
export function judge(candidate: Candidate, present: PresentRow | undefined): Verdict {
  if (!present) return { kind: 'first' };
  if (candidate.revision === 0) return { kind: 'duplicate' };
  const highest = candidate.supersedes ?? candidate.revision - 1;
  const isNewer = present.revision <= highest && present.revision < candidate.revision;
  if (!isNewer || rankOf(candidate.outcome) < rankOf(present.outcome)) return { kind: 'duplicate' };
  return { kind: 'replace', replaced: present };
}

/** The row that an outcome leaves in `messages`, as far as it matters here. */
function presentRowOf(outcome: ChatOutcome): PresentRow {
  const { insight, origin } = outcome;
  return {
    tenant_id: outcome.tenant_id,
    bot_id: outcome.bot_id,
    conversation_id: outcome.conversation_id,
    message_id: outcome.message_id,
    sent_at: timeWithin(outcome.sent_at),
    sent_at_original: timeWithin(outcome.sent_at_original ?? outcome.sent_at),
    outcome: outcome.outcome,
    revision: outcome.revision,
    sentiment_label: insight?.sentiment_label ?? '',
    sentiment_e4: scoreE4(insight?.sentiment_score ?? 0),
    toxicity_score: finite(insight?.toxicity_score ?? 0),
    latency_ms: latencyOf(outcome),
    latency_counts: outcome.revision === 0 ? 1 : 0,
    origin_topic_id: origin.topic_id,
    origin_partition: origin.partition,
    origin_offset: origin.offset,
  };
}

/** Whether a row replaces another under the same sort key, whose times and origin it then takes over. */
export const sharesSortKey = (outcome: MessageKey, old: PresentRow): boolean =>
  old.message_id === outcome.message_id && old.tenant_id === outcome.tenant_id;

/** The row that stands in `messages` once a verdict other than `duplicate` was carried out. */
export function presentAfter(outcome: ChatOutcome, verdict: Verdict): PresentRow {
  const row = presentRowOf(outcome);
  if (verdict.kind !== 'replace') return row;
  const { origin_topic_id, origin_partition, origin_offset, sent_at, sent_at_original } = verdict.replaced;
  const { latency_ms, latency_counts } = verdict.replaced.latency_counts === 1 ? verdict.replaced : row;
  const latency = { latency_ms, ...(latency_counts !== undefined && { latency_counts }) };
  const kept = { ...row, ...latency, origin_topic_id, origin_partition, origin_offset };
  return sharesSortKey(outcome, verdict.replaced) ? { ...kept, sent_at, sent_at_original } : kept;
}
