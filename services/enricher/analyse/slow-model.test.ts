import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from '@jest/globals';
import { Metrics } from '../../platform/metrics.ts';
import { parleyAnswer, ScriptedNlp } from '../../platform/testing/scripted-nlp.ts';
import { testLog } from '../../platform/testing/topic-log.ts';
import { readEnricherConfig } from '../config.ts';
import { enricherMetrics } from '../metrics.ts';
import { connectNlp } from './connect.ts';

/** As docs/nlp.md recommends for a language model. */
const RECIPE = {
  NLP_TIMEOUT_MS: '30000',
  NLP_HALF_OPEN_AFTER_MS: '35000',
  NLP_MAX_RETRIES: '2',
  NLP_BACKOFF_BASE_MS: '500',
  NLP_BACKOFF_CAP_MS: '10000',
  NLP_HEDGE_SHARE: '0',
  NLP_CONCURRENCY: '64',
  NLP_INITIAL_CONCURRENCY: '16',
  NLP_BATCH: 'off',
};
const ANSWER_MS = 5_000;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

it('a model that answers in five seconds analyses every message with one call, sixteen at a time', async () => {
  let most = 0;
  let inFlight = 0;
  const api = await ScriptedNlp.start(async (request) => {
    most = Math.max(most, ++inFlight);
    await delay(ANSWER_MS);
    inFlight--;
    return parleyAnswer(request);
  });
  const env = { ...RECIPE, NLP_URL: api.url };
  const config = readEnricherConfig(env);
  const registry = new Metrics('test');
  const metrics = enricherMetrics(registry);
  const ignore = () => {};
  const nlp = connectNlp({ config, log: testLog(), registry, metrics, env, onOpen: ignore, onRelease: ignore });
  closing.push(nlp.close, () => api.close());
  const analyses = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      nlp.analyser.analyse({
        id: String(n),
        text: `text ${n}`,
        stillWanted: () => true,
        hedgeUntilMs: performance.now() + 400,
        onOutage: 'return',
      }),
    ),
  );
  expect(analyses.map((each) => each.kind === 'analysed' && each.attempts)).toEqual(Array(20).fill(1));
  expect([api.requests.length, most]).toEqual([20, 16]);
});
