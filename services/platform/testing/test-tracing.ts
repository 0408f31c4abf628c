import type { Environment } from '../../core/config.ts';
import { Metrics } from '../metrics.ts';
import type { Tracer } from '../tracing/tracer.ts';
import { startTracing } from '../tracing/tracing.ts';
import { OtlpReceiver, type ReceivedSpan } from './otlp-receiver.ts';
import { testLog } from './topic-log.ts';

export interface TestTracing {
  readonly tracer: Tracer;
  readonly receiver: OtlpReceiver;
  readonly metrics: Metrics;
  /** Ends the tracing; all spans that were ended, in their order. */
  readonly spans: () => Promise<readonly ReceivedSpan[]>;
}

/** OpenTelemetry's SDK with a receiver of the test's own, which is closed by `spans`. One at a time: the SDK is global. */
export async function openTracing(env: Environment = {}, log = testLog()): Promise<TestTracing> {
  const receiver = await OtlpReceiver.listen();
  const metrics = new Metrics('test');
  const tracer = await startTracing({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_TRACES_SAMPLER: 'always_on', ...env },
    service: 'test',
    instance: 'test-1',
    log,
    metrics,
  });
  if (!tracer) throw new Error('these variables switch traces off');
  return {
    tracer,
    receiver,
    metrics,
    spans: async () => {
      await tracer.close();
      await receiver.close();
      return receiver.spans;
    },
  };
}
