import type { Logger } from '../../platform/logger.ts';
import type { Metrics } from '../../platform/metrics.ts';
import type { Tracer } from '../../platform/tracing/tracer.ts';
import type { EnricherConfig } from '../config.ts';
import type { EnricherMetrics } from '../metrics.ts';
import { registerAnalyserMetrics } from './analyser-metrics.ts';
import { MicroBatcher } from './batch/micro-batcher.ts';
import { Analyser } from './cache/analyser.ts';
import { ResultCache } from './cache/result-cache.ts';
import { ApiAnalyser } from './gate/api-analyser.ts';
import { OutageGate } from './gate/outage-gate.ts';
import { NlpPolicy } from './policy/nlp-policy.ts';
import { connectProvider } from './provider/connect.ts';
import type { NlpProvider } from './provider/provider.ts';

interface ConnectOptions {
  readonly config: EnricherConfig;
  readonly log: Logger;
  readonly registry: Metrics;
  readonly metrics: EnricherMetrics;
  /** The environment at the start, for the variables that a mapping file names. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly tracer?: Tracer | undefined;
  /** The API answers again. */
  readonly onOpen: () => void;
  /** A call ended, and another may begin. */
  readonly onRelease: () => void;
}

/**
 * All between a record and the NLP API, composed: cache ▸ gate ▸ batcher ▸ policy ▸ provider.
 *
 * @throws {ParleyError} CONFIG_INVALID for a mapping file that cannot be used.
 */
export function connectNlp({ config, log, registry, metrics, env, tracer, onOpen, onRelease }: ConnectOptions) {
  const provider = connectProvider(config, env, tracer);
  const policy = policyOf(config, provider, log, metrics, onRelease);
  // A little later than the breaker's own time, so that the probe finds it half-open.
  const gate = new OutageGate(policy, config.NLP_HALF_OPEN_AFTER_MS + 50, (open) => {
    log.warn(open ? 'the NLP API answers again: the breaker is closed' : 'the NLP API fails: the breaker is open');
    if (open) onOpen();
  });
  const batcher = batcherOf(config, provider, policy, log, metrics);
  const roundDelayMs = () => config.NLP_BACKOFF_CAP_MS * (0.5 + Math.random() / 2);
  const api = new ApiAnalyser({ batcher, gate, roundDelayMs });
  const { NLP_CACHE_BYTES: maxBytes, NLP_CACHE_TTL_MS: ttlMs } = config;
  const cache = maxBytes === 0 ? undefined : new ResultCache({ maxBytes, ttlMs });
  const analyser = new Analyser({ api, cache });
  registerAnalyserMetrics(registry, { batcher, analyser, cache });
  return {
    analyser,
    policy,
    gate,
    /** How many more messages may be started so that few of them wait for the rate or for a permit. */
    room: () => Math.min(policy.calls.room, policy.calls.rate.room * batcher.maxDocuments),
    check: async () => {
      if (policy.state !== 'closed') throw new Error(`the circuit breaker is ${policy.state}`);
      return {};
    },
    close: async () => {
      gate.close();
      batcher.close();
      policy.close();
      await provider.close();
    },
  };
}

function batcherOf(
  config: EnricherConfig,
  provider: NlpProvider,
  policy: NlpPolicy,
  log: Logger,
  metrics: EnricherMetrics,
): MicroBatcher {
  return new MicroBatcher({
    provider,
    policy,
    mode: config.NLP_BATCH,
    maxDocuments: config.NLP_BATCH_MAX_DOCUMENTS,
    maxBytes: config.NLP_BATCH_MAX_BYTES,
    lingerMs: config.NLP_BATCH_LINGER_MS,
    onCall: (seconds, result) => metrics.nlpCalls.observe(seconds, result),
    onRetry: (cause) => metrics.nlpRetries.inc({ cause }),
    onNoBatches: () => log.warn({ provider: provider.name }, 'the NLP API has no batches: documents are sent alone'),
  });
}

function policyOf(
  config: EnricherConfig,
  provider: NlpProvider,
  log: Logger,
  metrics: EnricherMetrics,
  onRelease: () => void,
): NlpPolicy {
  const requestsPerS = config.NLP_REQUESTS_PER_S ?? provider.limits.requestsPerS;
  return new NlpPolicy({
    requestsPerS: requestsPerS && requestsPerS * config.NLP_RATE_SHARE,
    concurrency: config.NLP_CONCURRENCY,
    initialConcurrency: config.NLP_INITIAL_CONCURRENCY,
    timeoutMs: config.NLP_TIMEOUT_MS,
    maxRetries: config.NLP_MAX_RETRIES,
    backoffBaseMs: config.NLP_BACKOFF_BASE_MS,
    backoffCapMs: config.NLP_BACKOFF_CAP_MS,
    breakerThreshold: config.NLP_BREAKER_THRESHOLD,
    breakerWindowMs: config.NLP_BREAKER_WINDOW_MS,
    // Two calls a second: below that the retries alone decide.
    breakerMinimumRps: 2,
    halfOpenAfterMs: config.NLP_HALF_OPEN_AFTER_MS,
    hedgeShare: config.NLP_HEDGE_SHARE,
    random: Math.random,
    onRetry: (cause) => metrics.nlpRetries.inc({ cause }),
    onHedge: (result) => metrics.nlpHedges.inc({ result }),
    onLasting: (isLasting) =>
      log.warn(
        isLasting
          ? 'the NLP API refuses calls for more than 5 s: what its rate does not admit is degraded, or waits'
          : 'the NLP API admits what comes again',
      ),
    onLimitMove: (why) => metrics.nlpLimitMoves.inc({ why }),
    onRelease,
  });
}
