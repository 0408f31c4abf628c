import type { Cancellation } from '../cancellation.ts';
import type { DocumentResult, NlpDocument, NlpProvider } from '../provider/provider.ts';

/** One request of a provider as a promise. */
export const resultsOf = (
  provider: NlpProvider,
  documents: readonly NlpDocument[],
  cancellation?: Cancellation,
): Promise<readonly DocumentResult[]> =>
  new Promise((received, failed) => provider.analyze(documents, { received, failed }, cancellation));
