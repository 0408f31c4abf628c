import { type AsyncApiDocument, nameOf, resolve, type Schema } from './asyncapi-document.ts';
import { code, type Row } from './markdown.ts';

/** Rows of a table with the fields of an object: name, whether required, type, what is allowed and what it means. */
export function fieldRows(document: AsyncApiDocument, schema: Schema, path = ''): Row[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([name, given]) => {
    const field = withTarget(document, given);
    const own: Row = [
      code(path + name),
      required.has(name) ? 'yes' : 'no',
      typeOf(document, field),
      [allowedOf(document, field), field.description].filter((part) => part).join('. '),
    ];
    return [own, ...fieldRows(document, field, `${path}${name}.`)];
  });
}

/** A reference with words of its own beside it: both count. */
function withTarget(document: AsyncApiDocument, schema: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  const { $ref, ...beside } = schema;
  return { ...resolve<Schema>(document, { $ref }), ...beside };
}

function typeOf(document: AsyncApiDocument, { type, const: fixed, items }: Schema): string {
  if (fixed !== undefined) return typeof fixed;
  if (type === undefined) return 'any';
  const named = typeof type === 'string' ? type : type.join(' or ');
  return items ? `${named} of ${typeOf(document, withTarget(document, items))}s` : named;
}

function allowedOf(document: AsyncApiDocument, schema: Schema): string {
  const parts: string[] = [];
  const { minimum, maximum, minLength, maxLength, minItems, maxProperties, propertyNames, additionalProperties } =
    schema;
  if (schema.const !== undefined) parts.push(code(schema.const));
  if (schema.enum) parts.push(schema.enum.map(code).join(', '));
  const range = between(minimum, maximum);
  if (range) parts.push(range);
  const length = between(minLength, maxLength);
  if (length) parts.push(`${length} characters`);
  if (minItems !== undefined) parts.push(`at least ${minItems}`);
  if (maxProperties !== undefined) parts.push(`at most ${maxProperties} keys`);
  const names = propertyNames && between(propertyNames.minLength, propertyNames.maxLength);
  if (names) parts.push(`keys of ${names} characters`);
  if (typeof additionalProperties === 'object') {
    const values = withTarget(document, additionalProperties);
    parts.push([`values: ${typeOf(document, values)}`, allowedOf(document, values)].filter((part) => part).join(', '));
  }
  if (schema.default !== undefined) parts.push(`default ${code(schema.default)}`);
  if (schema['x-environment']) parts.push(`set by ${code(schema['x-environment'])}`);
  return parts.join('; ');
}

function between(min: number | undefined, max: number | undefined): string {
  if (min !== undefined && max !== undefined) return `${min} to ${max}`;
  if (min !== undefined) return `from ${min}`;
  return max === undefined ? '' : `at most ${max}`;
}

/** The object schemas of a frame: itself, or each of its forms. */
export function formsOf(document: AsyncApiDocument, payload: Schema): { name: string; schema: Schema }[] {
  const schema = withTarget(document, payload);
  const name = payload.$ref === undefined ? '' : nameOf({ $ref: payload.$ref });
  if (!schema.oneOf) return [{ name, schema }];
  return schema.oneOf.flatMap((form) => formsOf(document, form));
}
