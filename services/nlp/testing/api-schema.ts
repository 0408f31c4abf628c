import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

/** The parts of the OpenAPI document that tests read. */
export interface ApiDocument {
  readonly paths: Readonly<
    Record<string, { readonly post: { readonly requestBody: { description: string }; responses: object } }>
  >;
  // biome-ignore lint/suspicious/noExplicitAny: a JSON Schema is as deep as it likes
  readonly components: { readonly schemas: Readonly<Record<string, any>> };
}

export const apiDocument = parse(
  readFileSync(join(import.meta.dirname, '../../../schemas/nlp-api.openapi.yaml'), 'utf8'),
) as ApiDocument;

const ajv = new Ajv2020({ strict: false, allErrors: true, unicodeRegExp: true });
ajv.addSchema({ $id: 'api', ...apiDocument });

/** A validator for one of the document's schemas (draft 2020-12, as OpenAPI 3.1 has it). */
export function schemaValidator(name: string): ValidateFunction {
  return ajv.compile({ $ref: `api#/components/schemas/${name}` });
}
