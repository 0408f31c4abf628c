import type { Insight } from '../../core/records.ts';

type Json = Readonly<Record<string, unknown>>;

const SENTIMENTS = new Set(['positive', 'neutral', 'negative']);
const MAX_NAME_CHARS = 200;
const MAX_TOPICS = 32;

const object = (value: unknown): Json | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
const name = (value: unknown): string | undefined =>
  typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME_CHARS ? value : undefined;
const within = (value: unknown, min: number, max: number): number | undefined =>
  typeof value === 'number' && value >= min && value <= max ? value : undefined;

/**
 * The analysis in a response body, or undefined when the body is anything else: an API that breaks may answer 200 with
 * a login page, half a document, or another document's result.
 */
export function toInsight(body: string, id: string): Insight | undefined {
  const response = object(parse(body));
  const language = object(response?.['language']);
  const sentiment = object(response?.['sentiment']);
  const intent = object(response?.['intent']);
  const toxicity = object(response?.['toxicity']);
  if (!response || response['id'] !== id) return undefined;
  const label = name(sentiment?.['label']);
  const found = {
    language: name(language?.['code']),
    language_confidence: within(language?.['confidence'], 0, 1),
    sentiment_label: label && SENTIMENTS.has(label) ? label : undefined,
    sentiment_score: within(sentiment?.['score'], -1, 1),
    intent: name(intent?.['name']),
    intent_confidence: within(intent?.['confidence'], 0, 1),
    toxicity_score: within(toxicity?.['score'], 0, 1),
    topics: topicsOf(response['topics']),
    model: name(response['model']),
  };
  return Object.values(found).includes(undefined) ? undefined : (found as Insight);
}

function topicsOf(value: unknown): readonly string[] | undefined {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return undefined;
  return value.filter((topic): topic is string => name(topic) !== undefined).slice(0, MAX_TOPICS);
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    // Not JSON: reported by the caller as garbage.
    return undefined;
  }
}
