import type { EpochMs } from '../core/brands.ts';
import type { ChatEvent, ChatOutcome, Coordinates, Insight } from '../core/records.ts';
import type { DegradedReason, DlqReason } from '../core/wire-codes.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { MAX_ID_CHARS, MAX_TIME_MS, MIN_TIME_MS } from './event-check.ts';

/** The text of a dead-lettered outcome is cut to this: the whole record stands on chat.dlq. */
const MAX_DEAD_TEXT_CHARS = 8_192;

interface Entry {
  readonly attempts: number;
  readonly enrichedAt: EpochMs;
}

export function enriched(
  source: Coordinates,
  event: ChatEvent,
  analysis: Pick<Entry, 'attempts'> & { readonly insight: Insight; readonly nlpMs: number; readonly cacheHit: boolean },
  enrichedAt: EpochMs,
): ChatOutcome {
  const { insight, nlpMs, attempts, cacheHit } = analysis;
  const outcome = common(source, event, { attempts, enrichedAt });
  outcome.outcome = 'enriched';
  outcome.nlp_ms = nlpMs;
  outcome.cache_hit = cacheHit;
  outcome.insight = insight;
  return outcome;
}

/** The outcome of a message that the local model alone could look at; it is on chat.replay, to be analysed later. */
export function degraded(
  source: Coordinates,
  event: ChatEvent,
  entry: Entry & { readonly insight: Insight },
): ChatOutcome {
  return {
    ...common(source, event, entry),
    outcome: 'degraded',
    reason: 'nlp_unavailable' satisfies DegradedReason,
    insight: entry.insight,
  };
}

/** An early answer at the edge of the latency budget; the final outcome follows. */
export function provisional(
  source: Coordinates,
  event: ChatEvent,
  entry: Entry & { readonly insight: Insight },
): ChatOutcome {
  return { ...common(source, event, entry), outcome: 'degraded', provisional: true, insight: entry.insight };
}

/** The outcome of a record that is on chat.dlq; its event is known unless it could not be decoded. */
export function deadLettered(
  source: Coordinates,
  record: FetchedRecord,
  event: ChatEvent | undefined,
  entry: Entry & { readonly reason: DlqReason },
): ChatOutcome {
  const base = event ? common(source, sane(event, record, entry), entry) : unknown(source, record, entry);
  return { ...base, outcome: 'dead_lettered', reason: entry.reason };
}

/** What retention removed before it was read: one outcome for the whole range. */
export function gap(source: Coordinates, lastOffset: number, enrichedAt: EpochMs): ChatOutcome {
  const nothing: FetchedRecord = {
    offset: source.offset,
    timestamp: enrichedAt,
    key: null,
    value: null,
    headers: {},
    size: 0,
  };
  return {
    ...unknown(source, nothing, { attempts: 0, enrichedAt }),
    message_id: `gap:${source.topic_id}:${source.partition}:${source.offset}`,
    outcome: 'gap',
    last_offset: lastOffset,
  };
}

/** Being filled in: a copy of thirty fields for each message would cost as much as encoding them. */
type Draft = { -readonly [Field in keyof ChatOutcome]: ChatOutcome[Field] };

function common(source: Coordinates, event: ChatEvent, { attempts, enrichedAt }: Entry): Draft {
  return {
    source,
    last_offset: null,
    origin: event.origin ?? source,
    outcome: '',
    provisional: false,
    reason: null,
    revision: event.supersedes === null ? 0 : event.supersedes + 1,
    supersedes: event.supersedes,
    message_id: event.message_id,
    tenant_id: event.tenant_id,
    bot_id: event.bot_id,
    conversation_id: event.conversation_id,
    speaker: event.speaker,
    text: event.text,
    sent_at: event.sent_at,
    sent_at_original: event.sent_at_original,
    received_at: event.received_at,
    enriched_at: enrichedAt,
    recheck: event.resent || event.attempt > 1,
    user_id: event.user_id,
    channel: event.channel,
    bot_version: event.bot_version,
    metadata: event.metadata,
    nlp_ms: 0,
    attempts,
    cache_hit: false,
    insight: null,
  };
}

/** Nothing is known of the message but its place: it gets an id of its own, and Kafka's timestamp. */
function unknown(source: Coordinates, record: FetchedRecord, { attempts, enrichedAt }: Entry): ChatOutcome {
  const at = plausible(record.timestamp, enrichedAt);
  const event: ChatEvent = {
    message_id: `dead:${source.topic_id}:${source.partition}:${source.offset}`,
    tenant_id: '',
    bot_id: '',
    conversation_id: '',
    speaker: '',
    text: '',
    sent_at: at,
    sent_at_original: null,
    received_at: at,
    deadline_at: at,
    attempt: 1,
    resent: false,
    user_id: null,
    channel: null,
    bot_version: null,
    metadata: new Map(),
    origin: null,
    supersedes: null,
    replay_id: null,
    replay_attempt: 0,
  };
  return common(source, event, { attempts, enrichedAt });
}

/** The same event with whatever made it invalid cut to what ClickHouse and the topic can take. */
function sane(event: ChatEvent, record: FetchedRecord, { enrichedAt }: Entry): ChatEvent {
  const at = plausible(record.timestamp, enrichedAt);
  const id = (value: string) => value.slice(0, MAX_ID_CHARS);
  return {
    ...event,
    message_id: id(event.message_id),
    tenant_id: id(event.tenant_id),
    bot_id: id(event.bot_id),
    conversation_id: id(event.conversation_id),
    speaker: id(event.speaker),
    text: event.text.slice(0, MAX_DEAD_TEXT_CHARS).toWellFormed(),
    sent_at: plausible(event.sent_at, at),
    sent_at_original: null,
    received_at: plausible(event.received_at, at),
    metadata: new Map([...event.metadata].slice(0, 64).map(([key, value]) => [id(key), id(value)])),
    supersedes: event.origin === null ? null : event.supersedes,
  };
}

const plausible = (time: number, otherwise: number): number =>
  time >= MIN_TIME_MS && time <= MAX_TIME_MS ? time : otherwise;
