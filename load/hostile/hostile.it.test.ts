import { expect, it } from '@jest/globals';
import { Bench } from '../gateway/bench.ts';
import { hostileRun } from './hostile.ts';

it('honest bots lose nothing beside peers that do the worst, and the gateway ends in order under them', async () => {
  const bench = await Bench.create();
  try {
    const options = { bots: 100, rate: 100, seconds: 5, calm: 2, peers: 60 };
    const env = { HANDSHAKE_TIMEOUT_MS: '1000', DRAIN_HANDOVER_MS: '100' };
    const report = await hostileRun(bench, options, { progress: () => {}, env });
    expect(report.honest).toMatchObject({ acked: report.honest.sent, nacked: 0, closes: {} });
    expect(report.honest.sent).toBeGreaterThan(500);
    const { half_open, no_token, junk_token } = report.attacks;
    expect([half_open['408'], no_token['401'], junk_token['401']]).toEqual(Array(3).fill(expect.any(Number)));
    expect(report.stop.exit_code).toBe(0);
  } finally {
    await bench.close();
  }
});
