import { int, number, optional, text } from '../core/config.ts';

export const NLP_SERVICE_SPEC = {
  NLP_HOST: text({ default: '127.0.0.1', doc: 'Address to listen on' }),
  NLP_PORT: int({ default: 8091, min: 0, max: 65_535, doc: 'Port to listen on; 0 takes any free one' }),
  NLP_LATENCY_MEAN_MS: number({ default: 0, min: 0, max: 60_000, doc: 'Mean latency that is added; 0 for none' }),
  NLP_LATENCY_P99_MS: number({ default: 0, min: 0, max: 600_000, doc: 'p99 of it; 0 for a constant latency' }),
  NLP_SEED: int({ default: 1, min: 0, max: 2_147_483_647, doc: 'Seed of latencies and faults' }),
  NLP_FAULTS: optional(text({ doc: 'Faults to start with, JSON as for PUT /faults' })),
  NLP_MAX_IN_FLIGHT: int({ default: 10_000, min: 1, max: 1_000_000, doc: 'More requests than this get 503' }),
};
