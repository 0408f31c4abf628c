import { describe, expect, it } from '@jest/globals';
import { Histogram, Registry } from 'prom-client';
import { LATENCY_BUCKETS_S, Metrics, mergeSnapshots } from './metrics.ts';

const VALUES = [0, 0.0005, 0.00051, 0.01, 0.0100001, 0.3, 9.99, 10, 11, 1_000];

describe('TalliedHistogram', () => {
  it('exports what prom-client does of the same observations, by label and without one', async () => {
    const theirs = new Registry();
    const buckets = LATENCY_BUCKETS_S;
    const options = { help: 'h', buckets: [...buckets], registers: [theirs] };
    const plain = new Histogram({ name: 'plain', ...options });
    const labelled = new Histogram({ name: 'labelled', labelNames: ['result'], ...options });
    const ours = new Metrics('test');
    ours.registry.clear();
    ours.registry.setDefaultLabels({});
    const tallied = ours.tallied('plain', 'h', buckets);
    const talliedByResult = ours.tallied('labelled', 'h', buckets, 'result');
    // Theirs names the exemplars that neither has.
    const exportTheirs = async () => [
      await theirs.metrics(),
      JSON.parse(
        JSON.stringify(await theirs.getMetricsAsJSON(), (key, value) => (key === 'exemplar' ? undefined : value)),
      ),
    ];
    const exportOurs = async () => [await ours.registry.metrics(), await ours.snapshot()];
    expect(await exportOurs()).toEqual(await exportTheirs());
    for (const [n, value] of VALUES.entries()) {
      const result = n % 3 === 0 ? 'ok' : 'timeout';
      plain.observe(value);
      tallied.observe(value);
      labelled.observe({ result }, value);
      talliedByResult.observe(value, result);
    }
    expect(await exportOurs()).toEqual(await exportTheirs());
  });

  it('is added up over processes', async () => {
    const snapshots = await Promise.all(
      [1, 2].map((seconds) => {
        const metrics = new Metrics('test');
        metrics.tallied('took', 'h', [1, 5], 'result').observe(seconds, 'ok');
        return metrics.snapshot();
      }),
    );
    const text = await mergeSnapshots(snapshots).text();
    const lines = text.split('\n').filter((line) => line.startsWith('took'));
    expect(lines.map((line) => line.replace(',service="test"', ''))).toEqual([
      'took_bucket{le="1",result="ok"} 1',
      'took_bucket{le="5",result="ok"} 2',
      'took_bucket{le="+Inf",result="ok"} 2',
      'took_sum{result="ok"} 3',
      'took_count{result="ok"} 2',
    ]);
  });

  it('takes no value for a label that it does not have, and none is left out', () => {
    const metrics = new Metrics('test');
    expect(() => metrics.tallied('a', 'h', [1]).observe(1, 'ok')).toThrow('a has no label, and got ok');
    expect(() => metrics.tallied('b', 'h', [1], 'result').observe(1)).toThrow(
      'b has the label result, and got undefined',
    );
  });
});
