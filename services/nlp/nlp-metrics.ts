import { LATENCY_BUCKETS_S, type Metrics } from '../platform/metrics.ts';
import type { FaultKind } from './faults/injector.ts';

/** The metrics of this service and the callbacks that feed them. Label values are closed lists. */
export function createNlpMetrics(metrics: Metrics, inFlight: () => number) {
  const requests = metrics.counter('parley_nlp_requests_total', 'Requests by route and status', ['route', 'status']);
  const documents = metrics.counter('parley_nlp_documents_total', 'Documents by result', ['result']);
  const faults = metrics.counter('parley_nlp_faults_injected_total', 'Faults injected by kind', ['kind']);
  const duration = metrics.histogram(
    'parley_nlp_request_duration_seconds',
    'From the request line to the end of the answer, added latency included',
    LATENCY_BUCKETS_S,
    ['route'],
  );
  metrics.gauge('parley_nlp_in_flight', 'Requests not yet answered', [], (gauge) => gauge.set(inFlight()));
  return {
    onRequest: (route: string, status: number | 'aborted', durationMs: number) => {
      requests.inc({ route, status });
      duration.observe({ route }, durationMs / 1_000);
    },
    onDocument: (result: 'analysed' | 'refused') => documents.inc({ result }),
    onFault: (kind: FaultKind) => faults.inc({ kind }),
  };
}
