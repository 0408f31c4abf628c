import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { bindOnce, freePort } from './free-port.ts';

const shareOf = (port: number): number => (port - 10_000 + 0.5) / 22_768;

describe('freePort', () => {
  it('gives a port that can be listened on, out of reach of outgoing connections', async () => {
    for (const edge of [0, 1 - Number.EPSILON]) {
      // Somebody may listen there on this machine.
      const draws = [edge];
      const port = await freePort({ random: () => draws.shift() ?? Math.random() });
      expect(port).toBeGreaterThanOrEqual(10_000);
      expect(port).toBeLessThan(32_768);
      expect(await bindOnce(port, '127.0.0.1')).toBe(port);
    }
  });

  it('passes over a port that somebody listens on, and gives up when all are', async () => {
    const port = await freePort();
    const taken = createServer().listen(port, '127.0.0.1');
    await once(taken, 'listening');
    const free = await freePort();
    const draws = [shareOf(port), shareOf(port), shareOf(free)];
    expect(await freePort({ random: () => draws.shift() ?? 0 })).toBe(free);
    expect(draws).toEqual([]);
    await expect(freePort({ random: () => shareOf(port) })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await new Promise((resolve) => taken.close(resolve));
  });
});
