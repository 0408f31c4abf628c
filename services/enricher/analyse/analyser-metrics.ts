import type { Metrics } from '../../platform/metrics.ts';
import type { MicroBatcher } from './batch/micro-batcher.ts';
import type { Analyser } from './cache/analyser.ts';
import type { ResultCache } from './cache/result-cache.ts';

interface Counted {
  readonly batcher: MicroBatcher;
  readonly analyser: Analyser;
  readonly cache: ResultCache | undefined;
}

/** Counts of batcher and cache, read at each scrape. */
export function registerAnalyserMetrics(metrics: Metrics, { batcher, analyser, cache }: Counted): void {
  metrics.counter(
    'parley_nlp_request_documents_total',
    'Documents of all requests to the NLP API; divided by the requests, the mean size of a batch',
    [],
    (counter) => counter.inc(batcher.documentsSent),
  );
  metrics.counter(
    'parley_nlp_cache_lookups_total',
    'Texts by where their result was: in the cache, in another message’s call, in no place yet',
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
