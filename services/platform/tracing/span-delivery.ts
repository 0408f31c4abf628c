import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../metrics.ts';

type Deliver = SpanExporter['export'];

interface DeliveryOptions {
  readonly maxQueueSize: number;
  /** Origin of the collector, for the log. */
  readonly collector: string;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/**
 * Stands on both sides of OpenTelemetry's queue of finished spans: counts what goes in and comes out, so that it can drop
 * (and count) what would be too much; tells when the collector stops taking spans, and when it takes them again.
 *
 *     ended ─▶ enter ─▶ queue (bounded) ─▶ leave ─▶ collector        exported, failed or dropped: each span once
 */
export class SpanDelivery {
  readonly #options: DeliveryOptions;
  readonly #spans;
  #queued = 0;
  #collector: 'unknown' | 'up' | 'down' = 'unknown';

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#spans = options.metrics.counter(
      'parley_trace_spans_total',
      'Spans by what became of them: exported, failed (the collector did not take them), dropped (too many wait)',
      ['result'],
    );
    for (const result of ['exported', 'failed', 'dropped']) this.#spans.inc({ result }, 0);
  }

  /** Before the queue. */
  guard(queue: SpanProcessor): SpanProcessor {
    return {
      onStart: () => {},
      onEnd: (span) => {
        if (this.#queued >= this.#options.maxQueueSize) {
          this.#spans.inc({ result: 'dropped' });
          return;
        }
        this.#queued++;
        queue.onEnd(span);
      },
      forceFlush: () => queue.forceFlush(),
      shutdown: () => queue.shutdown(),
    };
  }

  /** Behind the queue. */
  watch(exporter: SpanExporter): SpanExporter {
    return {
      export: (spans, done) => this.#deliver(exporter, spans, done),
      shutdown: () => exporter.shutdown(),
    };
  }

  #deliver(exporter: SpanExporter, spans: ReadableSpan[], done: Parameters<Deliver>[1]): void {
    this.#queued -= spans.length;
    exporter.export(spans, (result) => {
      // ExportResultCode.SUCCESS
      const succeeded = result.code === 0;
      this.#spans.inc({ result: succeeded ? 'exported' : 'failed' }, spans.length);
      this.#tell(succeeded ? 'up' : 'down', result.error);
      done(result);
    });
  }

  #tell(now: 'up' | 'down', error: unknown): void {
    const before = this.#collector;
    this.#collector = now;
    const { log, collector } = this.#options;
    if (now === 'down' && before !== 'down') {
      log.warn({ collector, err: messageOf(error) }, 'the collector takes no spans: they are dropped meanwhile');
    }
    if (now === 'up' && before === 'down') log.info({ collector }, 'the collector takes spans again');
  }
}
