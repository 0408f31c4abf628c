import { type AnalyzeDependencies, createBatchStep, createSingleStep } from './analyze.ts';
import { MAX_BATCH_BODY_BYTES, MAX_SINGLE_BODY_BYTES } from './limits.ts';
import type { Route } from './routes.ts';

/** All paths of the API. */
export function apiRoutes(dependencies: AnalyzeDependencies): ReadonlyMap<string, Route> {
  return new Map<string, Route>([
    ['/v1/analyze', { name: 'analyze', maxBodyBytes: MAX_SINGLE_BODY_BYTES, step: createSingleStep(dependencies) }],
    [
      '/v1/analyze:batch',
      { name: 'analyze_batch', maxBodyBytes: MAX_BATCH_BODY_BYTES, step: createBatchStep(dependencies) },
    ],
  ]);
}
