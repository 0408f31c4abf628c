import { afterEach, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { ScriptedNlp } from '../../platform/testing/scripted-nlp.ts';
import type { Analysis } from './analysis.ts';
import type { NlpProvider } from './provider/provider.ts';
import { AnalyserBench, type BenchOptions } from './testing/bench.ts';

let api: ScriptedNlp;
let bench: AnalyserBench;
afterEach(async () => {
  await bench.close();
  await api.close();
});

const MIB = 1 << 20;
const REQUEST = { stillWanted: () => true, hedgeUntilMs: Number.NEGATIVE_INFINITY, onOutage: 'wait' } as const;

/** Asks for texts, in order; what `receive` throws is a receiver's fault. @returns what came, by id. */
async function ask(texts: Record<string, string>, receive: (id: string) => void, options: Partial<BenchOptions>) {
  api = await ScriptedNlp.start();
  bench = new AnalyserBench({ url: api.url, ...options });
  const came: Record<string, Analysis | Error> = {};
  for (const [id, text] of Object.entries(texts)) {
    const received = (analysis: Analysis) => {
      receive(id);
      came[id] = analysis;
    };
    const failed = (error: unknown) => {
      came[id] = error as Error;
    };
    bench.analyser.ask({ id, text, ...REQUEST }, { received, failed });
  }
  await eventually(() => expect(Object.keys(came).sort()).toEqual(Object.keys(texts).sort()));
  expect(bench.policy.calls.inFlight).toBe(0);
  return came;
}

const faulty = (id: string) => {
  if (id === 'a') throw new Error('a receiver’s own fault');
};
const ANALYSED = { kind: 'analysed' };
const FAULT = { message: 'a receiver’s own fault' };

it('a call has its answer although the one that takes its permit cannot even be made', async () => {
  const unmakeable: (provider: NlpProvider) => NlpProvider = (provider) => ({
    name: provider.name,
    limits: provider.limits,
    analyze: (documents, ...rest) => {
      if (documents[0]?.id === 'b') throw new Error('not to be written as JSON');
      provider.analyze(documents, ...rest);
    },
    close: () => provider.close(),
  });
  const policy = { concurrency: 1, initialConcurrency: 1 };
  const texts = { a: 'one', b: 'two', c: 'three' };
  const came = await ask(texts, () => {}, { policy, wrap: unmakeable });
  expect(came).toMatchObject({ a: ANALYSED, b: { message: 'not to be written as JSON' }, c: ANALYSED });
});

it.each([
  ['calls that wait for its permit', { a: 'one', b: 'two', c: 'three' }, { policy: { concurrency: 1 } }],
  ['documents of its batch', { a: 'one', b: 'two', c: 'three' }, { batches: { mode: 'on' as const, lingerMs: 20 } }],
  ['messages with its text', { a: 'same', b: 'same', c: 'same' }, { cache: { maxBytes: MIB, ttlMs: 60_000 } }],
])('a receiver that throws does not harm the %s', async (_who, texts, options) => {
  const came = await ask(texts, faulty, options);
  expect(came).toMatchObject({ a: FAULT, b: ANALYSED, c: ANALYSED });
});
