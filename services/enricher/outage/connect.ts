import type { AdminRoutes } from '../../platform/admin-server.ts';
import type { Logger } from '../../platform/logger.ts';
import { type EnricherConfig, IN_FLIGHT_FACTOR } from '../config.ts';
import { Fallback } from '../fallback/fallback.ts';
import type { EnricherMetrics } from '../metrics.ts';
import type { OutcomeEmitter } from '../outcome-emitter.ts';
import { EarlyAnswers } from './early-answers.ts';
import { StormGuard } from './storm-guard.ts';
import { stormRoutes } from './storm-routes.ts';

interface ConnectOptions {
  readonly config: EnricherConfig;
  readonly emitter: OutcomeEmitter;
  readonly metrics: EnricherMetrics;
  readonly log: Logger;
  /** A storm is over: there may be something to start. */
  readonly onCalm: () => void;
}

export interface Outage {
  readonly fallback: Fallback;
  readonly early: EarlyAnswers;
  readonly storm: StormGuard;
  readonly routes: AdminRoutes;
  /** Loads the local model, which holds up the event loop for a moment: before the first message, then. */
  prepare(): Promise<void>;
  close(): void;
}

const WARM_UP = Array.from(
  { length: 400 },
  (_, n) => `Where is my order number ${n}? I am not happy with this at all!`,
);

/** Composes what the enricher has for the times when the NLP API does not answer. */
export function connectOutage({ config, emitter, metrics, log, onCalm }: ConnectOptions): Outage {
  const fallback = new Fallback({
    load: async () => {
      const { loadLocalModel } = await import('../fallback/local-model.ts');
      const model = await loadLocalModel();
      // The first run reads a word list and is compiled: part of loading, not of the first answer.
      for (const text of WARM_UP) model(text);
      return model;
    },
    cpuShare: config.FALLBACK_CPU_SHARE,
    onRun: (seconds) => metrics.fallbackSeconds.inc(seconds),
  });
  const early = new EarlyAnswers({ fallback, emitter, metrics, log, marginMs: config.NLP_PROVISIONAL_MARGIN_MS });
  const storm = new StormGuard({
    // Half of what may be in flight: what the API does take still gets through.
    maxHeld: Math.max(1, Math.floor((config.NLP_CONCURRENCY * IN_FLIGHT_FACTOR) / 2)),
    probeEveryMs: config.STORM_PROBE_MS,
    onChange: (state, why) => {
      if (state === 'storm') log.error('storm guard: the NLP API fails half of the messages; they wait from now on');
      else log.warn({ why }, 'storm guard: released, what waited is tried again');
      if (state === 'calm') onCalm();
    },
  });
  return {
    fallback,
    early,
    storm,
    routes: stormRoutes(storm, log),
    prepare: () =>
      fallback.load().catch((error: unknown) => {
        log.error({ err: error }, 'the local model does not load: no early answers, and no degraded ones');
      }),
    close: () => {
      early.close();
      storm.close();
      fallback.close();
    },
  };
}
