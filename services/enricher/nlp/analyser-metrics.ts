import type { Metrics } from '../../platform/metrics.ts';
import type { Analyser } from './analyser.ts';
import type { ResultCache } from './result-cache.ts';

const BATCH_BUCKETS = [1, 2, 3, 5, 8, 12, 18, 25, 50, 100];

/** Documents of each request to the API. */
export const batchSizes = (metrics: Metrics) =>
  metrics.histogram('parley_nlp_request_documents', 'Documents of a request to the NLP API', BATCH_BUCKETS);

/** What the cache does, read at each scrape. */
export function registerCacheMetrics(metrics: Metrics, analyser: Analyser, cache: ResultCache | undefined): void {
  metrics.counter(
    'parley_nlp_cache_lookups_total',
    'Texts by where their result was: known, being asked for by another message, to be asked for',
    ['result'],
    (counter) => {
      if (!cache) return;
      counter.inc({ result: 'hit' }, cache.hits);
      counter.inc({ result: 'followed' }, analyser.followed);
      counter.inc({ result: 'miss' }, cache.misses - analyser.followed);
    },
  );
  metrics.gauge('parley_nlp_cache_bytes', 'Reckoned memory of the cached results', [], (gauge) =>
    gauge.set(cache?.bytes ?? 0),
  );
  metrics.gauge('parley_nlp_cache_entries', 'Cached results', [], (gauge) => gauge.set(cache?.entries ?? 0));
}
