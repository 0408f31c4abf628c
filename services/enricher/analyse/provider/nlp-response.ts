import type { Insight } from '../../../core/records.ts';

export type Json = Readonly<Record<string, unknown>>;

const MAX_NAME_CHARS = 200;
const MAX_TOPICS = 32;
const NO_TOPICS: readonly string[] = [];

export const asObject = (value: unknown): Json | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;

export const isSentiment = (label: unknown): label is string =>
  label === 'positive' || label === 'neutral' || label === 'negative';

export const isName = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME_CHARS;

export const isWithin = (value: unknown, min: number, max: number): value is number =>
  typeof value === 'number' && value >= min && value <= max;

/** The body as JSON, or undefined where it is none: the caller reports it as garbage. */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/**
 * The analysis in one result of the Parley NLP API (`schemas/nlp-api.openapi.yaml`), or undefined when it is anything
 * else. Unknown fields are left out.
 */
export function insightOf(result: Json): Insight | undefined {
  const language = asObject(result['language']);
  const sentiment = asObject(result['sentiment']);
  const intent = asObject(result['intent']);
  const topics = topicsOf(result['topics']);
  const toxicity = asObject(result['toxicity'])?.['score'];
  const model = result['model'];
  if (!language || !sentiment || !intent || !topics || !isName(model) || !isWithin(toxicity, 0, 1)) return undefined;
  const { code, confidence } = language;
  const { label, score } = sentiment;
  const { name, confidence: certainty } = intent;
  if (!isName(code) || !isWithin(confidence, 0, 1) || !isSentiment(label) || !isWithin(score, -1, 1)) return undefined;
  if (!isName(name) || !isWithin(certainty, 0, 1)) return undefined;
  return {
    language: code,
    language_confidence: confidence,
    sentiment_label: label,
    sentiment_score: score,
    intent: name,
    intent_confidence: certainty,
    toxicity_score: toxicity,
    topics,
    model,
  };
}

/** Names alone are taken, 32 at most; undefined where there is something else than a list. */
export function topicsOf(value: unknown): readonly string[] | undefined {
  if (value === undefined) return NO_TOPICS;
  if (!Array.isArray(value)) return undefined;
  if (value.length === 0) return NO_TOPICS;
  return value.length <= MAX_TOPICS && value.every(isName) ? value : value.filter(isName).slice(0, MAX_TOPICS);
}
