import { pathToFileURL } from 'node:url';
import type { Insight } from '../../services/core/records.ts';
import type { Analyser } from '../../services/nlp/analyser.ts';

type Load = () => Promise<(text: string) => Insight>;

/**
 * The model to score: the reference one, or that of a module which exports `loadLocalModel()`, as the enricher's
 * does.
 *
 * @param file path of the module; undefined for the reference model.
 */
export async function modelOf(file: string | undefined): Promise<Analyser> {
  if (file === undefined) return (await import('../../services/nlp/analyser.ts')).analyse;
  const { loadLocalModel } = (await import(pathToFileURL(file).href)) as { loadLocalModel?: Load };
  if (typeof loadLocalModel !== 'function') throw new Error(`${file} exports no function loadLocalModel`);
  const model = await loadLocalModel();
  return (text) => {
    const insight = model(text);
    return {
      language: { code: insight.language, confidence: insight.language_confidence },
      sentiment: { label: insight.sentiment_label as 'neutral', score: insight.sentiment_score },
      intent: { name: insight.intent as 'unknown', confidence: insight.intent_confidence },
      toxicity: { score: insight.toxicity_score },
      topics: insight.topics,
      entities: [],
      model: insight.model,
    };
  };
}
