import { readFile, writeFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { AsyncApiDocument } from './asyncapi-document.ts';
import { renderReference } from './render.ts';

/** `node services/gateway/reference/main.ts` writes docs/protocol-reference.md anew from the AsyncAPI document. */
const document = parse(
  await readFile(new URL('../../../schemas/parley.asyncapi.yaml', import.meta.url), 'utf8'),
) as AsyncApiDocument;
await writeFile(new URL('../../../docs/protocol-reference.md', import.meta.url), renderReference(document));
