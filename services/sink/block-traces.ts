import type { Clock } from '../core/clock.ts';
import type { Claim } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { startProcess } from '../platform/tracing/messaging-spans.ts';
import { type SpanContext, sampledContext } from '../platform/tracing/trace-context.ts';
import type { Span, Tracer } from '../platform/tracing/tracer.ts';
import type { BlockPlan } from './block-plan.ts';
import type { LogEntry } from './log-entry.ts';

/** Traced messages of one block: as many links as a span may have by default. Further ones end at their outcome. */
const MAX_TRACED = 128;
/** Traced messages that wait for their block; they are few, unless everything is traced. */
const MAX_WAITING = 1_024;

interface Waiting {
  readonly context: SpanContext;
  readonly takenAt: number;
}

/**
 * The traces of messages on their way through one partition's blocks. Nothing is begun before the block is in: then each
 * traced message gets its span, from being taken over to being in ClickHouse, and the block one of its own, in the trace
 * of the first of them and with links to the others, which link back.
 */
export class BlockTraces {
  readonly #tracer: Tracer;
  readonly #claim: Claim;
  readonly #group: string;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting>();

  constructor(tracer: Tracer, group: string, claim: Claim, clock: Clock) {
    this.#tracer = tracer;
    this.#group = group;
    this.#claim = claim;
    this.#clock = clock;
  }

  /** Looks at one byte of a record, unless it is sampled. */
  take(records: readonly FetchedRecord[]): void {
    for (const { offset, headers } of records) {
      const context = sampledContext(headers);
      if (context && this.#waiting.size < MAX_WAITING && !this.#waiting.has(offset)) {
        this.#waiting.set(offset, { context, takenAt: this.#clock.now() });
      }
    }
  }

  /** The block is in, or had nothing to insert. @param begunAt when it was cut, ms since the epoch. */
  inserted(plan: BlockPlan, entries: readonly LogEntry[], begunAt: number): void {
    const spans = this.#spansBelow(plan.block.to);
    if (spans.size === 0) return;
    const verdicts = new Map(plan.judged.map(({ offset, verdict }) => [offset, verdict.kind]));
    const provisional = new Set(entries.flatMap(({ kind, offset }) => (kind === 'provisional' ? [offset] : [])));
    const stored: Span[] = [];
    for (const [offset, span] of spans) {
      if (provisional.has(offset)) span.set({ 'parley.provisional': true });
      else {
        span.set({ 'parley.provisional': false, 'parley.verdict': verdicts.get(offset) ?? 'repeat' });
        if (verdicts.has(offset)) stored.push(span);
      }
    }
    this.#traceBlock(stored, plan, entries.length, begunAt);
    for (const span of spans.values()) span.end();
  }

  /** The insert, from the cutting of the block; nothing where none of the messages went in with it. */
  #traceBlock(
    [first, ...others]: readonly Span[],
    { block, judged }: BlockPlan,
    records: number,
    begunAt: number,
  ): void {
    if (!first) return;
    const { topic, partition } = this.#claim;
    const insert = this.#tracer.start('INSERT ingest', {
      kind: 'client',
      parent: first.context,
      startedAt: begunAt,
      attributes: {
        'db.system.name': 'clickhouse',
        'db.operation.name': 'INSERT',
        'db.collection.name': 'ingest',
        'messaging.system': 'kafka',
        'messaging.destination.name': topic,
        'messaging.destination.partition.id': String(partition),
        'messaging.batch.message_count': records,
        'parley.block.from': block.from,
        'parley.block.to': block.to,
        'parley.block.outcomes': judged.length,
      },
    });
    for (const span of others) {
      insert.link(span.context);
      span.link(insert.context);
    }
    insert.end();
  }

  #spansBelow(offset: number): Map<number, Span> {
    const { topic, partition } = this.#claim;
    const spans = new Map<number, Span>();
    for (const [at, { context, takenAt }] of this.#waiting) {
      if (at >= offset) continue;
      this.#waiting.delete(at);
      if (spans.size > MAX_TRACED) continue;
      const from = { topic, partition, offset: at, group: this.#group, takenAt };
      spans.set(at, startProcess(this.#tracer, context, from));
    }
    return spans;
  }
}
