import { describe, expect, it } from '@jest/globals';
import type { TopicId } from '../core/brands.ts';
import { systemClock } from '../core/clock.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { topicNames } from '../platform/kafka/topics.ts';
import type { Logger } from '../platform/logger.ts';
import { Metrics } from '../platform/metrics.ts';
import type { ReceivedSpan } from '../platform/testing/otlp-receiver.ts';
import { sampleEvent, sampleInsight } from '../platform/testing/sample-event.ts';
import { openTracing } from '../platform/testing/test-tracing.ts';
import { messageTrace } from '../platform/tracing/messaging-spans.ts';
import { enricherMetrics } from './metrics.ts';
import { OutcomeEmitter } from './outcome-emitter.ts';
import { WorkItem } from './work-item.ts';

const topics = topicNames('');
const GATEWAY = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) };
const HEADERS = {
  traceparent: Buffer.from(`00-${GATEWAY.traceId}-${GATEWAY.spanId}-01`),
  tracestate: Buffer.from('congo=t61'),
  'parley-reply-to': Buffer.from('session-1'),
};
const UNSAMPLED = { ...HEADERS, traceparent: Buffer.from(`00-${GATEWAY.traceId}-${GATEWAY.spanId}-00`) };
const INSIGHT = sampleInsight();

/** An emitter of one message, traced where its headers say so; JSON stands for Avro. */
async function bench(headers: FetchedRecord['headers'] = HEADERS, refusal?: Error) {
  const { tracer, spans } = await openTracing();
  const sent: { topic: string; headers: Record<string, string | Buffer> }[] = [];
  const logged: object[] = [];
  const post = (record: (typeof sent)[number], settled: (error?: Error) => void) => {
    sent.push(record);
    settled(refusal);
  };
  const send = (record: (typeof sent)[number]) =>
    new Promise<void>((resolve, reject) => post(record, (error) => (error ? reject(error) : resolve())));
  const emitter = new OutcomeEmitter({
    enrichedPartitions: 2,
    codec: { encodeEvent: () => Buffer.from('{}'), encodeOutcome: () => Buffer.from('{}') } as never,
    producer: { post, send } as never,
    topics,
    metrics: enricherMetrics(new Metrics('test')),
    clock: systemClock,
    log: { warn: (fields: object) => logged.push(fields) } as unknown as Logger,
    tracer,
  });
  const claim = { topic: topics.events, partition: 3, topicId: 'T'.repeat(22) as TopicId, active: true } as never;
  const record = { offset: 9, timestamp: 0, key: Buffer.from('k'), value: Buffer.from('v'), headers, size: 1 };
  const span = messageTrace(tracer, 'parley.enricher')({ topic: topics.events, partition: 3 }, record);
  const source = { topic_id: 'T'.repeat(22) as TopicId, topic: topics.events, partition: 3, offset: 9 };
  const event = sampleEvent();
  const parts = { claim, record, source, event, isReplay: false, now: event.deadline_at - 400, degrades: true, span };
  const item = new WorkItem(parts, { conclude: () => {} }, { received: () => {}, failed: () => {} });
  const finished = async () => {
    span?.end();
    const all = await spans();
    return new Map(all.map((each): [string, ReceivedSpan] => [each.name, each]));
  };
  const enriched = (analysis: Parameters<OutcomeEmitter['enriched']>[1]) =>
    new Promise<boolean>((received, failed) => emitter.enriched(item, analysis, { received, failed }));
  return { emitter, item, enriched, sent, logged, finished };
}

const contextOf = (span: ReceivedSpan | undefined) => `00-${span?.traceId}-${span?.spanId}-01`;

describe('the outcome of a traced message', () => {
  it('has a span below that of the processing, and its record carries the context on', async () => {
    const { enriched, sent, finished } = await bench();
    await enriched({ kind: 'analysed', insight: INSIGHT, nlpMs: 7, attempts: 2, cacheHit: false });
    const spans = await finished();
    const [process, send] = [spans.get('process chat.events'), spans.get('send chat.enriched')];
    expect(process).toMatchObject({
      kind: 'consumer',
      traceId: GATEWAY.traceId,
      parentSpanId: GATEWAY.spanId,
      attributes: {
        'messaging.kafka.offset': 9,
        'messaging.consumer.group.name': 'parley.enricher',
        'parley.outcome': 'enriched',
        'parley.attempts': 2,
        'parley.cache_hit': false,
        'parley.provisional': false,
      },
      failed: false,
    });
    expect(send).toMatchObject({
      kind: 'producer',
      traceId: GATEWAY.traceId,
      parentSpanId: process?.spanId,
      attributes: { 'messaging.destination.name': 'chat.enriched', 'messaging.destination.partition.id': '1' },
    });
    expect(sent[0]?.headers).toMatchObject({
      traceparent: contextOf(send),
      tracestate: 'congo=t61',
      'parley-reply-to': HEADERS['parley-reply-to'],
    });
  });

  it('that is early comes besides the final one', async () => {
    const { emitter, item, finished } = await bench();
    emitter.provisional(item, INSIGHT);
    await emitter.degraded(item, INSIGHT, 3);
    const spans = await finished();
    expect([...spans.keys()].sort()).toEqual(['process chat.events', 'send chat.enriched', 'send chat.replay']);
    expect(spans.get('process chat.events')?.attributes).toMatchObject({
      'parley.outcome': 'degraded',
      'parley.provisional': true,
    });
  });

  it('on chat.dlq keeps the context that came, for a replay to go on from; the log names the trace', async () => {
    const { emitter, item, sent, logged, finished } = await bench();
    const why = { reason: 'nlp_rejected', detail: 'it refused', attempts: 1 } as const;
    await emitter.deadLettered(item, item.event, why);
    const spans = await finished();
    expect(spans.get('process chat.events')).toMatchObject({
      failed: true,
      attributes: { 'error.type': 'nlp_rejected' },
    });
    expect(spans.get('send chat.dlq')?.parentSpanId).toBe(spans.get('process chat.events')?.spanId);
    const headersOf = (topic: string) => sent.find((each) => each.topic === topic)?.headers;
    expect(headersOf(topics.dlq)).toMatchObject(HEADERS);
    expect(headersOf(topics.enriched)?.['traceparent']).toBe(contextOf(spans.get('send chat.enriched')));
    expect(logged).toEqual([expect.objectContaining({ reason: 'nlp_rejected', trace_id: GATEWAY.traceId })]);
  });

  it('that Kafka refuses has a span that failed, and fails as ever', async () => {
    const refusal = Object.assign(new Error('no'), { name: 'KafkaJSProtocolError' });
    const { enriched, finished } = await bench(HEADERS, refusal);
    const analysed = { kind: 'analysed', insight: INSIGHT, nlpMs: 7, attempts: 1, cacheHit: false } as const;
    await expect(enriched(analysed)).rejects.toBe(refusal);
    const send = (await finished()).get('send chat.enriched');
    expect(send).toMatchObject({ failed: true, attributes: { 'error.type': 'KafkaJSProtocolError' } });
  });
});

it('of a message that is not sampled nothing is told, and its context goes on as it came', async () => {
  const { emitter, item, sent, logged, finished } = await bench(UNSAMPLED);
  await emitter.deadLettered(item, item.event, { reason: 'invalid', detail: 'x', attempts: 0 });
  expect((await finished()).size).toBe(0);
  for (const { headers } of sent) expect(headers).toMatchObject(UNSAMPLED);
  expect(logged[0]).not.toHaveProperty('trace_id');
});
