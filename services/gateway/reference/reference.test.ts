import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { CLOSE_CODES, FINAL_NACK_CODES, HANDSHAKE_REFUSALS, TEMPORARY_NACK_CODES } from '../../core/wire-codes.ts';
import type { AsyncApiDocument, Codes } from './asyncapi-document.ts';
import { renderReference } from './render.ts';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const document = parse(read('schemas/parley.asyncapi.yaml')) as AsyncApiDocument;
const codes = document.channels['stream']?.['x-codes'] as Codes;
const reference = read('docs/protocol-reference.md');
const page = read('docs/protocol.md');

/** Code, cause and remedy of each row of the table under a heading of docs/protocol.md. */
function pageCodes(heading: string): Record<string, { cause: string; remedy: string }> {
  const section = page.split(/^##+ /m).find((it) => it.startsWith(heading)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return Object.fromEntries(
    rows.map((row) => {
      const cells = row
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim());
      return [cells[0]?.replaceAll('`', ''), { cause: cells.at(-2) ?? '', remedy: cells.at(-1) ?? '' }];
    }),
  );
}

describe('docs/protocol-reference.md', () => {
  it('is what node services/gateway/reference/main.ts makes of the schema', () => {
    expect(reference).toBe(renderReference(document));
  });

  it('has every frame, with every field, and every message of the topics', () => {
    const { messages, schemas } = document.components;
    const frames = Object.keys(document.channels['stream']?.messages ?? {});
    expect([...reference.matchAll(/^### `(\w+)`$/gm)].map(([, name]) => name).sort()).toEqual([...frames].sort());
    for (const name of Object.keys(schemas['Insight']?.properties ?? {}))
      expect(reference).toContain(`| \`${name}\` |`);
    for (const { summary, examples = [] } of Object.values(messages)) {
      expect(reference).toContain(summary);
      for (const { payload } of examples) expect(reference).toContain(JSON.stringify(payload));
    }
  });
});

describe('the codes of the schema', () => {
  it('are those of the code, both ways', () => {
    expect(Object.keys(codes.final)).toEqual([...FINAL_NACK_CODES]);
    expect(Object.keys(codes.temporary)).toEqual([...TEMPORARY_NACK_CODES]);
    expect(Object.keys(codes.handshake)).toEqual(Object.keys(HANDSHAKE_REFUSALS));
    // Beside ours, those that the WebSocket library gives by itself, and one for a fault of ours.
    const close = [...Object.values(CLOSE_CODES), 1002, 1007, 1011].map(String);
    expect(Object.keys(codes.close).sort()).toEqual(close.sort());
  });

  it('have cause and remedy, word for word those of docs/protocol.md, both ways', () => {
    expect(pageCodes('Final codes')).toEqual(codes.final);
    expect(pageCodes('Temporary codes')).toEqual(codes.temporary);
    expect(pageCodes('Close codes')).toEqual(codes.close);
    expect(pageCodes('Handshake answers')).toEqual(codes.handshake);
    for (const kind of Object.values(codes)) {
      for (const [code, { cause, remedy }] of Object.entries(kind))
        expect([code, cause && remedy]).not.toEqual([code, '']);
    }
  });
});
