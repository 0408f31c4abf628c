import { describe, expect, it } from '@jest/globals';
import { ENTITY_TYPES, MAX_ENTITIES } from '../analysers/entities.ts';
import { INTENTS } from '../analysers/intent.ts';
import { MAX_TOPICS, TOPICS } from '../analysers/topics.ts';
import { apiDocument } from '../testing/api-schema.ts';
import { apiRoutes } from './api-routes.ts';
import { API_ERRORS, INJECTED_FAULT } from './error-codes.ts';
import {
  MAX_BATCH_BODY_BYTES,
  MAX_BATCH_DOCUMENTS,
  MAX_ID_UNITS,
  MAX_SINGLE_BODY_BYTES,
  MAX_TEXT_UNITS,
} from './limits.ts';

const { paths, components } = apiDocument;
const { Document, Batch, Result, Entity, Topic, ErrorCode } = components.schemas;
const sorted = (list: readonly string[]) => [...list].sort();
const bytesIn = (path: string) =>
  Number(/At most ([\d,]+) bytes/.exec(paths[path]?.post.requestBody.description ?? '')?.[1]?.replaceAll(',', ''));

describe('schemas/nlp-api.openapi.yaml says what the service does', () => {
  it('lists exactly its error codes and their statuses', () => {
    expect(ErrorCode['x-status']).toEqual(API_ERRORS);
    expect(sorted(ErrorCode.enum)).toEqual(sorted([...Object.keys(API_ERRORS), INJECTED_FAULT]));
  });

  it('lists the status of every code at every path', () => {
    const statuses = ['200', ...new Set(Object.values(API_ERRORS).map(String))].sort();
    for (const { post } of Object.values(paths)) expect(Object.keys(post.responses).sort()).toEqual(statuses);
  });

  it('has its paths', () => {
    const noDependencies = {} as Parameters<typeof apiRoutes>[0];
    expect(Object.keys(paths)).toEqual([...apiRoutes(noDependencies).keys()]);
  });

  it('states its limits', () => {
    expect(Document.properties.text.maxLength).toBe(MAX_TEXT_UNITS);
    expect(Document.properties.id.maxLength).toBe(MAX_ID_UNITS);
    expect(Batch.properties.documents.maxItems).toBe(MAX_BATCH_DOCUMENTS);
    expect(bytesIn('/v1/analyze')).toBe(MAX_SINGLE_BODY_BYTES);
    expect(bytesIn('/v1/analyze:batch')).toBe(MAX_BATCH_BODY_BYTES);
    expect(Result.properties.entities.maxItems).toBe(MAX_ENTITIES);
    expect(Result.properties.topics.maxItems).toBe(MAX_TOPICS);
  });

  it('lists its intents, topics and entity types', () => {
    expect(Result.properties.intent.properties.name.enum).toEqual(INTENTS);
    expect(Topic.enum).toEqual(TOPICS);
    expect(Entity.properties.type.enum).toEqual(ENTITY_TYPES);
  });
});
