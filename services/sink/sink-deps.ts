import type { Clock } from '../core/clock.ts';
import type { ChatOutcome } from '../core/records.ts';
import type { Decoded } from '../platform/avro/codec.ts';
import type { OutgoingRecord } from '../platform/kafka/produce/batch-producer.ts';
import type { Logger } from '../platform/logger.ts';
import type { Tracer } from '../platform/tracing/tracer.ts';
import type { BufferLimits, MemoryBudget } from './block-buffer.ts';
import type { Cadence } from './cadence.ts';
import type { FactStore } from './fact-store.ts';
import type { InsertSlots } from './insert-slots.ts';
import type { SinkLayout } from './sink-layout.ts';
import type { SinkMetrics } from './sink-metrics.ts';

interface SinkLimits {
  readonly blockRows: number;
  readonly blockBytes: number;
  readonly buffer: BufferLimits;
  readonly duplicateWindowMs: number;
}

/** What every partition's sink shares. */
export interface SinkDeps {
  readonly store: FactStore;
  readonly layout: SinkLayout;
  readonly decode: (value: Buffer | null) => Decoded<ChatOutcome> | Promise<Decoded<ChatOutcome>>;
  /** Resolves when Kafka has it. */
  readonly produce: (record: OutgoingRecord) => Promise<void>;
  readonly dlqTopic: string;
  /** Bounds how many inserts are under way at once. */
  readonly slots: InsertSlots;
  readonly budget: MemoryBudget;
  readonly cadence: Cadence;
  readonly limits: SinkLimits;
  readonly clock: Clock;
  readonly tracing?: { readonly tracer: Tracer; readonly group: string } | undefined;
  readonly log: Logger;
  readonly metrics: SinkMetrics;
  readonly fail: (error: unknown) => void;
}
