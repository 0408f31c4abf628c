import { describe, expect, it } from '@jest/globals';
import { planChaos } from './plan.ts';
import { boundMs, runChaos } from './run.ts';
import { SHORT_RUN } from './short-run.ts';

describe('the short chaos run', () => {
  it(
    `of seed ${SHORT_RUN.seed} loses no acked message and counts none twice`,
    async () => {
      const told: string[] = [];
      const report = await runChaos(
        { ...SHORT_RUN, rate: 30, bots: 8 },
        { progress: (line) => told.push(line), signal: new AbortController().signal },
      ).catch((error: unknown) => {
        throw new Error(`seed ${SHORT_RUN.seed}:\n${told.join('\n')}`, { cause: error });
      });
      const { violations, repeat, logs } = report;
      // All that one needs to look into a failure stands in the difference that jest prints.
      expect({ violations, repeat, logs, told: violations.length > 0 ? told : [] }).toEqual({
        violations: [],
        repeat,
        logs: null,
        told: [],
      });
      expect(report).toMatchObject({ ok: true, acked: report.sent, dead_letters: report.poison });
      expect(report.events).toHaveLength(SHORT_RUN.events);
      expect(report.poison).toBeGreaterThan(0);
      expect(report.verify.topics['chat.events']).toMatchObject({ enriched: report.sent, missing: 0, in_flight: 0 });
    },
    boundMs(planChaos(SHORT_RUN)),
  );
});
