import type { Logger } from '../../platform/logger.ts';
import type { EnricherConfig } from '../config.ts';
import type { EnricherMetrics } from '../metrics.ts';
import { Analyser } from './analyser.ts';
import { NlpPolicy } from './nlp-policy.ts';
import { OutageGate } from './outage-gate.ts';
import { ParleyProvider } from './providers/parley.ts';

interface ConnectOptions {
  readonly config: EnricherConfig;
  readonly log: Logger;
  readonly metrics: EnricherMetrics;
  /** The API answers again. */
  readonly onOpen: () => void;
}

/** A connection is made within this, or the attempt's own time-out where that is shorter. */
const CONNECT_TIMEOUT_MS = 2_000;

/** All between a record and the NLP API, composed: gate ▸ policy ▸ provider. */
export function connectNlp({ config, log, metrics, onOpen }: ConnectOptions) {
  const provider = new ParleyProvider({
    url: config.NLP_URL,
    connections: config.NLP_CONNECTIONS,
    connectTimeoutMs: Math.min(config.NLP_TIMEOUT_MS, CONNECT_TIMEOUT_MS),
  });
  const policy = policyOf(config, metrics);
  // A little later than the breaker's own time, so that the probe finds it half-open.
  const gate = new OutageGate(policy, config.NLP_HALF_OPEN_AFTER_MS + 50, (open) => {
    log.warn(open ? 'the NLP API answers again: the breaker is closed' : 'the NLP API fails: the breaker is open');
    if (open) onOpen();
  });
  const analyser = new Analyser({
    provider,
    policy,
    gate,
    roundDelayMs: () => config.NLP_BACKOFF_CAP_MS * (0.5 + Math.random() / 2),
    onCall: (seconds, result) => metrics.nlpCalls.observe({ result }, seconds),
  });
  return {
    analyser,
    policy,
    gate,
    check: async () => {
      if (policy.state !== 'closed') throw new Error(`the circuit breaker is ${policy.state}`);
      return {};
    },
    close: async () => {
      gate.close();
      policy.close();
      await provider.close();
    },
  };
}

function policyOf(config: EnricherConfig, metrics: EnricherMetrics): NlpPolicy {
  return new NlpPolicy({
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
    onLimitMove: (why) => metrics.nlpLimitMoves.inc({ why }),
  });
}
