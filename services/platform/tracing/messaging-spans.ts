import type { FetchedRecord } from '../kafka/record.ts';
import { type SpanContext, sampledContext } from './trace-context.ts';
import type { Attributes, Span, Tracer } from './tracer.ts';

/** Spans by OpenTelemetry's semantic conventions for messaging, as far as several services make them. */

interface Place {
  readonly topic: string;
  readonly partition: number;
}

const placeOf = ({ topic, partition }: Place, operation: 'send' | 'process'): Attributes => ({
  'messaging.system': 'kafka',
  'messaging.destination.name': topic,
  'messaging.destination.partition.id': String(partition),
  'messaging.operation.name': operation,
  'messaging.operation.type': operation,
});

/** From the moment a record is handed to the producer until Kafka has it on all in-sync replicas. */
export const startSend = (tracer: Tracer, to: Place, attributes: Attributes, parent?: SpanContext): Span =>
  tracer.start(`send ${to.topic}`, { kind: 'producer', parent, attributes: { ...placeOf(to, 'send'), ...attributes } });

interface Received extends Place {
  readonly offset: number;
  readonly group: string;
  /** Milliseconds since the epoch; without it: now. */
  readonly takenAt?: number;
}

/** What a service makes of one record. */
export const startProcess = (tracer: Tracer, parent: SpanContext, from: Received): Span =>
  tracer.start(`process ${from.topic}`, {
    kind: 'consumer',
    parent,
    attributes: {
      ...placeOf(from, 'process'),
      'messaging.kafka.offset': from.offset,
      'messaging.consumer.group.name': from.group,
    },
    ...(from.takenAt !== undefined && { startedAt: from.takenAt }),
  });

/** Begins the span of a record whose message is sampled, as it is taken over; of others it looks at one byte. */
export const messageTrace =
  (tracer: Tracer, group: string) =>
  ({ topic, partition }: Place, { offset, headers }: FetchedRecord): Span | undefined => {
    const parent = sampledContext(headers);
    return parent && startProcess(tracer, parent, { topic, partition, offset, group });
  };

/** For the log lines that are about one message. */
export const traceIdOf = (span: Span | undefined): { trace_id?: string } =>
  span === undefined ? {} : { trace_id: span.context.traceId };
