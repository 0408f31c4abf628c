import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ERRORS } from './errors.ts';

describe('the catalogue of errors', () => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const documented = new Map(
    [...page.matchAll(/^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$/gm)].map(([, code, text, remedy]) => [
      code,
      { text, remedy },
    ]),
  );

  it('is the same in code and in docs/errors.md, both ways', () => {
    expect(Object.fromEntries(documented)).toEqual(ERRORS);
  });
});
