import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { HANDSHAKE_REFUSALS } from '../../core/wire-codes.ts';
import { HTTP_PROBLEMS } from './http-problem.ts';
import { MAX_MESSAGES } from './message-batch.ts';

// biome-ignore lint/suspicious/noExplicitAny: a document whose shape the schema's own tools check
type Document = any;

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const document = parse(read('schemas/gateway.openapi.yaml')) as Document;
const page = read('docs/protocol.md');

describe('schemas/gateway.openapi.yaml', () => {
  it('lists exactly the codes of the code, and docs/protocol.md too', () => {
    expect(document.components.schemas.ProblemCode['x-status']).toEqual(HTTP_PROBLEMS);
    const section = page.split(/^## /m).find((it) => it.startsWith('Over HTTP')) ?? '';
    const rows = [...section.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, code, status]) => [code, Number(status)]);
    expect(rows).toEqual(Object.entries(HTTP_PROBLEMS));
  });

  it('lists every status that a request can get', () => {
    const statuses = new Set<number>([...Object.values(HTTP_PROBLEMS), ...Object.values(HANDSHAKE_REFUSALS)]);
    for (const other of [404, 426]) statuses.delete(other);
    const listed = Object.keys(document.paths['/v1/messages'].post.responses);
    expect(listed).toEqual(['200', ...[...statuses].sort().map(String)]);
    expect(document.components.schemas.Batch.properties.messages.maxItems).toBe(MAX_MESSAGES);
  });

  it('gives an answer that its own schema accepts', () => {
    const ajv = new Ajv2020({ strict: false });
    ajv.addSchema(document, 'gateway');
    const validate = ajv.compile({ $ref: 'gateway#/components/schemas/Result' });
    const { example } = document.paths['/v1/messages'].post.responses['200'].content['application/json'];
    for (const result of example.results) {
      validate(result);
      expect(validate.errors ?? []).toEqual([]);
    }
  });
});
