import { ClickHouseException } from './exception.ts';

/** A table that came along with a query, for this query alone. */
export interface ExternalTable {
  readonly name: string;
  readonly data: Buffer;
}

export interface Form {
  /** Parameters, as if they stood in the URL. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly tables: readonly ExternalTable[];
}

/** A form is held in memory: as much as a list of a million ids, 32 bytes each. */
export const MAX_FORM_BYTES = 32 * 1024 * 1024;
const MAX_ENTRIES = 1_000;

export const isForm = (contentType: string | undefined): contentType is string =>
  /^multipart\/form-data\b/i.test(contentType ?? '');

/** @throws {ClickHouseException} BAD_ARGUMENTS for what is no form. */
export async function readForm(contentType: string, body: Buffer): Promise<Form> {
  let data: FormData;
  try {
    data = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData();
  } catch (error) {
    throw new ClickHouseException('BAD_ARGUMENTS', 'The body cannot be read as multipart/form-data', { cause: error });
  }
  const entries = [...data];
  if (entries.length > MAX_ENTRIES) {
    throw new ClickHouseException('BAD_ARGUMENTS', `A form has at most ${MAX_ENTRIES} parts here`);
  }
  const fields: [string, string][] = [];
  const tables: ExternalTable[] = [];
  for (const [name, value] of entries) {
    if (typeof value === 'string') fields.push([name, value]);
    else tables.push({ name, data: Buffer.from(await value.arrayBuffer()) });
  }
  return { fields, tables };
}
