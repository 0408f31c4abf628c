import { describe, expect, it } from '@jest/globals';
import { commentFaults } from './comments.ts';

const linesOf = (source: string): number[] => commentFaults(source).map(({ line }) => line);

describe('the check of comments', () => {
  it('finds comments of every kind that begin with "Of"', () => {
    const source = [
      '/** Of each broker. */',
      'const a = 1; // Of the run.',
      '/*',
      ' * Of both.',
      ' */',
      'export { a };',
    ];
    expect(linesOf(source.join('\n'))).toEqual([1, 2, 3]);
  });

  it('passes "Of" within a comment, at a line break too, and in strings, templates and patterns', () => {
    const source = [
      '// A share of the calls.',
      '// It is the sum.',
      '// Of all things, this goes on.',
      '/** Offsets. */',
      "const text = '// Of a string';",
      'const template = `/* Of a template */`;',
      String.raw`const pattern = /\/\/ Of a pattern/;`,
      'export { template, pattern };',
    ];
    expect(linesOf(source.join('\n'))).toEqual([]);
  });

  it('finds a link to a page that is not in the repository, wherever it stands in the comment', () => {
    expect(linesOf(`/**\n * The law\n * (${'design'} §1).\n */\nexport const a = 1;`)).toEqual([1]);
    expect(linesOf('// The law (docs/architecture.md#the-way-of-one-message).')).toEqual([]);
  });

  it('reads TypeScript: types, generics, satisfies and a comment between', () => {
    const source = 'export const a = <T,>(x: T) => x satisfies /* Of T. */ unknown as T;\n';
    expect(linesOf(source)).toEqual([1]);
  });
});
