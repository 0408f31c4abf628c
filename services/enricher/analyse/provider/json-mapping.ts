import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf, ParleyError } from '../../../core/errors.ts';
import { POINTER } from './json-pointer.ts';

const pointer = z.string().regex(POINTER, 'allowed is a JSON pointer such as /results/0/label');
const label = z.string().min(1).max(200);
/** Names of the API's labels to Parley's. What is not in it counts as missing. */
const labels = z.record(z.string(), label).optional();
/** A list of `{label, score}`, however they are called: what classifiers answer. */
const classes = z.strictObject({ list: pointer, label: pointer, score: pointer });

const text = z.union([
  z.strictObject({ value: label }),
  z.strictObject({
    at: pointer,
    /** Where the pointer starts: the document's result, or the whole answer. */
    of: z.enum(['result', 'answer']).default('result'),
    labels,
    default: label.optional(),
  }),
  /** The label with the highest score; the default where that is below `min_score`. */
  z.strictObject({ top: classes, labels, min_score: z.number().default(0), default: label.optional() }),
  /** A label by a number: that of the first band whose `below` exceeds it. */
  z.strictObject({ at: pointer, bands: z.array(z.strictObject({ below: z.number(), label })).min(1) }),
]);

const score = z.union([
  z.strictObject({ value: z.number() }),
  z.strictObject({ at: pointer, scale: z.number().default(1), default: z.number().optional() }),
  /** The highest score of the list. */
  z.strictObject({ top: classes }),
  /** Σ score × weight over the labels of the list that have one. */
  z.strictObject({ weigh: classes, weights: z.record(z.string(), z.number()) }),
  /** Σ value × weight. */
  z.strictObject({ sum: z.array(z.strictObject({ at: pointer, weight: z.number() })).min(1) }),
]);

const failure = z.enum(['rejected', 'too_large', 'throttled', 'failed', 'misconfigured']);
const match = z.union([z.strictObject({ id: pointer }), z.strictObject({ index: pointer }), z.literal('order')]);

const mappingSchema = z.strictObject({
  $comment: z.string().optional(),
  /** In logs and metrics. */
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,39}$/, 'allowed are up to 40 of a-z, 0-9, - and _'),
  /** Added to NLP_URL; may hold a query. */
  path: z.string().regex(/^\/[\x21-\x7e]*$/, 'allowed is a path that begins with /'),
  /** A text, or a secret by the name of its environment variable. */
  headers: z
    .record(
      z.string(),
      z.union([z.string(), z.strictObject({ env: z.string().min(1), prefix: z.string().default('') })]),
    )
    .default({}),
  request: z.strictObject({
    /** The body; `"$documents"` stands for the list of documents, or `"$text"` and `"$id"` where the API takes one. */
    body: z.json(),
    /** One of the list; `"$text"`, `"$id"` and `"$index"` stand for the document's. */
    document: z.json().optional(),
  }),
  response: z.strictObject({
    /** The list of results; of an API that takes one document, its result. */
    results: pointer,
    match: match.default('order'),
    errors: z
      .strictObject({
        list: pointer,
        match,
        code: pointer,
        /** Codes of errors that may pass: the document is tried again, alone. */
        retryable: z.array(z.string()).default([]),
      })
      .optional(),
  }),
  /** What an answer that is not 200 means, where its status alone does not say. */
  failures: z
    .strictObject({
      statuses: z.record(z.string().regex(/^[45]\d\d$/, 'allowed are statuses 400 to 599'), failure).default({}),
      /** The error's code in the body, and what it means. */
      code: pointer.optional(),
      codes: z.record(z.string(), failure).default({}),
      /** Seconds after which to come again, in the body. */
      retry_after_s: pointer.optional(),
    })
    .prefault({}),
  limits: z.strictObject({
    documents: z.number().int().min(1).max(1_000),
    bytes: z.number().int().min(1_000),
    requests_per_s: z.number().positive().optional(),
    text: z.strictObject({
      chars: z.number().int().min(1),
      bytes: z.number().int().min(4).optional(),
      overlong: z.enum(['reject', 'truncate']),
    }),
  }),
  insight: z.strictObject({
    model: text,
    language: z
      .strictObject({
        code: text,
        confidence: score.default({ value: 0 }),
        min_chars: z.number().int().min(0).default(0),
      })
      .default({ code: { value: 'und' }, confidence: { value: 0 }, min_chars: 0 }),
    sentiment: z
      .strictObject({ label: text, score: score.default({ value: 0 }) })
      .default({ label: { value: 'neutral' }, score: { value: 0 } }),
    intent: z
      .strictObject({ name: text, confidence: score.default({ value: 0 }) })
      .default({ name: { value: 'unknown' }, confidence: { value: 0 } }),
    toxicity: z.strictObject({ score }).default({ score: { value: 0 } }),
    topics: pointer.optional(),
  }),
});

export type JsonMapping = z.output<typeof mappingSchema>;
export type TextSource = z.output<typeof text>;
export type ScoreSource = z.output<typeof score>;
export type Match = z.output<typeof match>;

/** @throws {ParleyError} CONFIG_INVALID naming the file, the field and what is allowed. */
export function readMapping(file: string): JsonMapping {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ParleyError('CONFIG_INVALID', `NLP_MAPPING is "${file}", which is no JSON file: ${messageOf(error)}`);
  }
  return parseMapping(json, file);
}

/** @throws {ParleyError} CONFIG_INVALID */
export function parseMapping(json: unknown, file: string): JsonMapping {
  const parsed = mappingSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the file'}: ${message}`);
  throw new ParleyError('CONFIG_INVALID', `NLP_MAPPING is "${file}", where ${problems.join('; ')}`);
}
