import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../core/clock.ts';
import type { ChatOutcome } from '../core/records.ts';
import { Metrics } from '../platform/metrics.ts';
import { enricherMetrics } from './metrics.ts';
import { observeStages } from './stages.ts';

async function secondsByStage(offset: number, times: { timestamp: number; fetchedAtMs?: number }) {
  const registry = new Metrics('test');
  const record = { offset, key: null, value: null, headers: {}, size: 0, ...times };
  const outcome = { received_at: 1_000, enriched_at: 1_290 } as ChatOutcome;
  observeStages(enricherMetrics(registry).stages, record, outcome, 1_060, new ManualClock(1_300));
  const { values } = await (registry.registry.getSingleMetric('parley_stage_seconds')?.get() ?? { values: [] });
  const sums = values.filter((value) => 'metricName' in value && value.metricName === 'parley_stage_seconds_sum');
  return Object.fromEntries(sums.map(({ labels, value }) => [labels['stage'], Math.round(value * 1_000)]));
}

describe('the stages of a message', () => {
  it('add up to its latency', async () => {
    const stages = await secondsByStage(32, { timestamp: 1_005, fetchedAtMs: 1_020 });
    expect(stages).toEqual({ gateway: 5, log: 15, queue: 40, analysis: 230, ack: 10 });
  });

  it('are never negative, whatever the clocks of gateway and Kafka say', async () => {
    expect(await secondsByStage(0, { timestamp: 990, fetchedAtMs: 1_020 })).toMatchObject({ gateway: 0, log: 30 });
  });

  it('are told of one message in sixteen, and of none that no group fetched', async () => {
    const told = await Promise.all(
      Array.from({ length: 48 }, (_, offset) => secondsByStage(offset, { timestamp: 1_005, fetchedAtMs: 1_020 })),
    );
    expect(told.filter((stages) => 'queue' in stages)).toHaveLength(3);
    expect(await secondsByStage(0, { timestamp: 1_005 })).toEqual({});
  });
});
