import { expect, it } from '@jest/globals';
import { runClientChaos } from './run.ts';

it('a host with twelve bots does not notice three seconds of a gateway at its worst', async () => {
  const report = await runClientChaos({ seconds: 3, seed: 7, clients: 12 });
  expect(report.violations).toEqual([]);
  expect(report.acked).toBeGreaterThan(100);
  expect(report.reconnects).toBeGreaterThan(10);
  // Faults were drawn, and several kinds of them.
  expect(Object.keys(report.faults).length).toBeGreaterThan(10);
  expect(report.problems['listener_failed']).toBeGreaterThan(10);
});
