import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { stack } from '../../services/local/testing/stack.ts';
import { demoChats } from '../kit/chats.ts';
import { ApiProcess } from './api-process.ts';
import type { RunContext } from './bench.ts';
import { killRun } from './kill-run.ts';
import { runOnce } from './run-once.ts';

let api: ApiProcess;
let context: RunContext;
const MESSAGES = 400;
const BOUND_MS = 45_000;

beforeAll(async () => {
  api = await ApiProcess.start({ API_MIN_DELAY_MS: '10', API_MAX_DELAY_MS: '30' });
  const { kafkaBrokers, registryUrl, clickhouseUrl } = stack();
  context = {
    stack: { kafkaBrokers, registryUrl, clickhouseUrl, pids: {}, stop: async () => {} },
    api,
    progress: () => {},
    signal: new AbortController().signal,
  };
});
afterAll(() => api.stop());

const EXACT = { outcomes: { enriched: MESSAGES }, missing: 0, repeated: 0, repeated_calls: 0 };

describe('the bench', () => {
  it.each(['baseline', 'parley', 'naive'] as const)(
    'takes the figures of %s from a topic that is full',
    async (name) => {
      const env = name === 'parley' ? { NLP_BATCH: 'off' } : name === 'naive' ? { NAIVE_PARTITIONS: '12' } : {};
      const options = { messages: MESSAGES, env, chats: demoChats(1), limitMs: BOUND_MS };
      const figures = await runOnce(name, options, context);
      expect(figures).toMatchObject({ ...EXACT, api: { calls: MESSAGES, documents: MESSAGES } });
      expect(figures.max_rss_mb).toBeGreaterThan(0);
    },
  );

  it('takes them at a rate, after a warm-up, with the latency that the system added', async () => {
    const options = { messages: 200, ratePerS: 100, env: {}, chats: demoChats(1), limitMs: BOUND_MS };
    const { missing, added_ms, insight_ms, cpu_us_per_message } = await runOnce('baseline', options, context);
    expect([missing, added_ms.count]).toEqual([0, 200]);
    // Here, since a full topic may be through between two looks at the process.
    expect(cpu_us_per_message).toBeGreaterThan(0);
    expect(insight_ms.p50 - added_ms.p50).toBeGreaterThan(5);
  });

  it('kills the enricher and finds nothing missing, nor repeated beyond what was open', async () => {
    const chats = demoChats(1);
    const report = await killRun({ messages: 4_000, env: { NLP_BATCH: 'off' }, chats, limitMs: BOUND_MS }, context);
    expect(report).toMatchObject({ ok: true, messages: 4_000, missing: 0 });
    expect(report.repeated_calls).toBeLessThanOrEqual(report.in_flight + report.acked_since_commit);
  });
});
