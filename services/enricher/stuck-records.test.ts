import { describe, expect, it } from '@jest/globals';
import { Metrics } from '../platform/metrics.ts';
import type { Job, PartitionWorker } from './partition-worker.ts';
import { retryDelayMs, StuckRecords } from './stuck-records.ts';

const workerOf = (partition: number) => ({ claim: { topic: 'chat.events', partition } }) as unknown as PartitionWorker;
const jobOf = (worker: PartitionWorker, offset: number) =>
  ({ kind: 'record', worker, record: { offset } }) as unknown as Job;
const refused = Object.assign(new Error('refused'), { type: 'TOPIC_AUTHORIZATION_FAILED' });
const signal = AbortSignal.timeout(60_000);

describe('StuckRecords', () => {
  it('names the lowest record of a partition that failed three times in a row, and why, until it is done', async () => {
    const stuck = new StuckRecords();
    const metrics = new Metrics('test');
    stuck.export(metrics);
    const worker = workerOf(2);
    const jobs = [jobOf(worker, 9), jobOf(worker, 7)] as const;
    for (let times = 1; times <= 3; times++) {
      expect(await stuck.check(signal)).toEqual({});
      for (const job of jobs) expect(stuck.failed(job, refused)).toBe(times);
    }
    for (let times = 1; times <= 3; times++) stuck.failed(jobOf(workerOf(3), 1), new Error('odd'));
    for (let times = 1; times <= 3; times++) stuck.failed(jobs[1], refused);
    await expect(stuck.check(signal)).rejects.toThrow(
      /^chat.events\/2 cannot go on: offset 7 failed 6 times \(TOPIC_AUTHORIZATION_FAILED\)$/,
    );
    expect(await metrics.registry.metrics()).toContain(
      'parley_partition_stuck_offset{topic="chat.events",partition="2",code="TOPIC_AUTHORIZATION_FAILED",service="test"} 7',
    );
    stuck.ended(jobs[1]);
    await expect(stuck.check(signal)).rejects.toThrow(/offset 9 failed 3 times/);
    stuck.released(worker);
    expect(await stuck.check(signal)).toEqual({});
    expect(await metrics.registry.metrics()).not.toContain('parley_partition_stuck_offset{');
  });

  it('puts no text of an error into a label', () => {
    const stuck = new StuckRecords();
    const job = jobOf(workerOf(0), 1);
    for (let times = 0; times < 3; times++) stuck.failed(job, Object.assign(new Error('x'), { code: 'a text, say' }));
    expect(stuck.list()).toMatchObject([{ code: 'Error' }]);
  });

  it('waits longer after each failure, and ten seconds at most', () => {
    expect([1, 2, 3, 4, 5, 50].map(retryDelayMs)).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });
});
