import type { Insight } from '../../../core/records.ts';
import type { JsonMapping, ScoreSource, TextSource } from './json-mapping.ts';
import { compilePointer } from './json-pointer.ts';
import { isName, isSentiment, isWithin, topicsOf } from './nlp-response.ts';

/** What is read: a document's result, and the answer that it stands in. */
interface Read {
  readonly result: unknown;
  readonly answer: unknown;
}

type TextReader = (read: Read) => string | undefined;
type ScoreReader = (result: unknown) => number | undefined;

/** The insight in a document's result, or undefined where something of it is missing or out of its range. */
export type InsightReader = (result: unknown, answer: unknown, text: string) => Insight | undefined;

const UNKNOWN_LANGUAGE = 'und';

export function compileInsight(mapping: JsonMapping['insight']): InsightReader {
  const model = textReader(mapping.model);
  const language = textReader(mapping.language.code);
  const languageConfidence = scoreReader(mapping.language.confidence);
  const minChars = mapping.language.min_chars;
  const sentiment = textReader(mapping.sentiment.label);
  const sentimentScore = scoreReader(mapping.sentiment.score);
  const intent = textReader(mapping.intent.name);
  const intentConfidence = scoreReader(mapping.intent.confidence);
  const toxicity = scoreReader(mapping.toxicity.score);
  const topics = mapping.topics === undefined ? () => [] : compilePointer(mapping.topics);
  return (result, answer, text) => {
    const read = { result, answer };
    // Short texts misdetect: "ok" is no language.
    const tells = text.length >= minChars;
    const found = {
      language: tells ? language(read) : UNKNOWN_LANGUAGE,
      language_confidence: tells ? languageConfidence(result) : 0,
      sentiment_label: sentiment(read),
      sentiment_score: sentimentScore(result),
      intent: intent(read),
      intent_confidence: intentConfidence(result),
      toxicity_score: toxicity(result),
      topics: topicsOf(topics(result)),
      model: model(read),
    };
    return isInsight(found) ? found : undefined;
  };
}

function isInsight(found: { readonly [K in keyof Insight]: Insight[K] | undefined }): found is Insight {
  return (
    isName(found.language) &&
    isSentiment(found.sentiment_label) &&
    isName(found.intent) &&
    isName(found.model) &&
    found.topics !== undefined &&
    isWithin(found.language_confidence, 0, 1) &&
    isWithin(found.sentiment_score, -1, 1) &&
    isWithin(found.intent_confidence, 0, 1) &&
    isWithin(found.toxicity_score, 0, 1)
  );
}

function textReader(source: TextSource): TextReader {
  if ('value' in source) return () => source.value;
  if ('bands' in source) {
    const at = compilePointer(source.at);
    return ({ result }) => {
      const value = at(result);
      return typeof value === 'number' ? source.bands.find(({ below }) => value < below)?.label : undefined;
    };
  }
  const labels = source.labels && new Map(Object.entries(source.labels));
  const named = (value: unknown) => {
    if (typeof value !== 'string') return source.default;
    return (labels ? labels.get(value) : value) ?? source.default;
  };
  if ('top' in source) {
    const top = topReader(source.top);
    return ({ result }) => {
      const best = top(result);
      return best && best.score < source.min_score ? source.default : named(best?.label);
    };
  }
  const at = compilePointer(source.at);
  return source.of === 'answer' ? ({ answer }) => named(at(answer)) : ({ result }) => named(at(result));
}

function scoreReader(source: ScoreSource): ScoreReader {
  if ('value' in source) return () => source.value;
  if ('at' in source) {
    const at = compilePointer(source.at);
    return (result) => {
      const value = at(result);
      return typeof value === 'number' ? value * source.scale : source.default;
    };
  }
  if ('top' in source) {
    const top = topReader(source.top);
    return (result) => top(result)?.score;
  }
  if ('sum' in source) {
    const terms = source.sum.map(({ at, weight }) => ({ at: compilePointer(at), weight }));
    return (result) => total(terms.map(({ at, weight }) => ({ score: at(result), weight })));
  }
  const weights = new Map(Object.entries(source.weights));
  const classes = classesReader(source.weigh);
  return (result) =>
    total(classes(result)?.flatMap(({ label, score }) => ({ score, weight: weights.get(label) ?? 0 })) ?? []);
}

/** Rounding may take a sum of shares just beyond 1. */
function total(terms: readonly { readonly score: unknown; readonly weight: number }[]): number | undefined {
  if (terms.length === 0) return undefined;
  let sum = 0;
  for (const { score, weight } of terms) sum += typeof score === 'number' ? score * weight : Number.NaN;
  return Math.max(-1, Math.min(sum, 1));
}

type Classes = Extract<TextSource, { top: unknown }>['top'];
interface Class {
  readonly label: string;
  readonly score: number;
}

function classesReader(classes: Classes): (result: unknown) => readonly Class[] | undefined {
  const list = compilePointer(classes.list);
  const label = compilePointer(classes.label);
  const score = compilePointer(classes.score);
  return (result) => {
    const items = list(result);
    if (!Array.isArray(items)) return undefined;
    const read = items.map((item) => ({ label: label(item), score: score(item) }));
    return read.every(isClass) ? read : undefined;
  };
}

const isClass = (item: { label: unknown; score: unknown }): item is Class =>
  typeof item.label === 'string' && typeof item.score === 'number';

function topReader(classes: Classes): (result: unknown) => Class | undefined {
  const read = classesReader(classes);
  return (result) => {
    const items = read(result);
    return items?.reduce<Class | undefined>(
      (best, item) => (best && best.score >= item.score ? best : item),
      undefined,
    );
  };
}
