import type { AnalyseRequest, Analysis } from '../analysis.ts';
import { type BatcherOptions, MicroBatcher } from '../batch/micro-batcher.ts';
import { Analyser } from '../cache/analyser.ts';
import { ResultCache, type ResultCacheOptions } from '../cache/result-cache.ts';
import { ApiAnalyser } from '../gate/api-analyser.ts';
import { OutageGate } from '../gate/outage-gate.ts';
import { NlpPolicy, type NlpPolicyOptions } from '../policy/nlp-policy.ts';
import { ParleyProvider } from '../provider/parley.ts';
import type { NlpProvider } from '../provider/provider.ts';

const POLICY: NlpPolicyOptions = {
  concurrency: 100,
  initialConcurrency: 100,
  timeoutMs: 30_000,
  maxRetries: 2,
  backoffBaseMs: 1,
  backoffCapMs: 2,
  breakerThreshold: 0.9,
  breakerWindowMs: 60_000,
  // Never open, unless a test wants it.
  breakerMinimumRps: 1_000_000,
  halfOpenAfterMs: 10_000,
  hedgeShare: 0,
  random: () => 0.5,
  onRetry: () => {},
  onHedge: () => {},
  onLimitMove: () => {},
};

export interface BenchOptions {
  readonly url: string;
  readonly provider?: NlpProvider;
  /** Puts a test's own behaviour around the provider. */
  readonly wrap?: (provider: NlpProvider) => NlpProvider;
  readonly policy?: Partial<NlpPolicyOptions>;
  readonly batches?: Partial<BatcherOptions>;
  /** `undefined`: no cache. */
  readonly cache?: ResultCacheOptions | undefined;
}

/** All between a record and the NLP API, as the service composes it, with bounds of a test's own. */
export class AnalyserBench {
  readonly provider: NlpProvider;
  readonly policy: NlpPolicy;
  readonly gate: OutageGate;
  readonly batcher: MicroBatcher;
  readonly cache: ResultCache | undefined;
  readonly analyser: Analyser;
  readonly calls: string[] = [];
  readonly retries: string[] = [];
  noBatches = 0;

  constructor({ url, provider, wrap = (each) => each, policy, batches, cache }: BenchOptions) {
    this.provider = wrap(provider ?? new ParleyProvider({ url, connections: 100, connectTimeoutMs: 10_000 }));
    this.policy = new NlpPolicy({ ...POLICY, requestsPerS: this.provider.limits.requestsPerS, ...policy });
    this.gate = new OutageGate(this.policy, POLICY.halfOpenAfterMs, () => {});
    this.batcher = new MicroBatcher({
      provider: this.provider,
      policy: this.policy,
      mode: 'off',
      maxDocuments: 25,
      maxBytes: 256 << 10,
      lingerMs: 5,
      onCall: (_seconds, result) => this.calls.push(result),
      onRetry: (cause) => this.retries.push(cause),
      onNoBatches: () => {
        this.noBatches++;
      },
      ...batches,
    });
    this.cache = cache && new ResultCache(cache);
    const api = new ApiAnalyser({ batcher: this.batcher, gate: this.gate, roundDelayMs: () => 1 });
    this.analyser = new Analyser({ api, cache: this.cache });
  }

  analyse(text: string, request: Partial<AnalyseRequest> = {}): Promise<Analysis> {
    return this.analyser.analyse({
      id: text,
      text,
      stillWanted: () => true,
      hedgeUntilMs: Number.NEGATIVE_INFINITY,
      onOutage: 'wait',
      ...request,
    });
  }

  async close(): Promise<void> {
    this.gate.close();
    this.batcher.close();
    this.policy.close();
    await this.provider.close();
  }
}
