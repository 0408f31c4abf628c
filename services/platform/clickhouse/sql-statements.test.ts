import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { literalLists, quote, splitStatements } from './sql-statements.ts';

describe('splitStatements', () => {
  it('cuts at semicolons outside of strings, names and comments', () => {
    const sql = `
      -- first; not a cut
      CREATE TABLE a (x String DEFAULT 'it''s; \\'; fine'); /* a ; /* nested ; */ b */
      INSERT INTO \`a;b\` VALUES ("c;d") -- tail;
      ;
      ;; -- nothing but a comment;
      SELECT 1 - -1`;
    expect(splitStatements(sql).map((statement) => statement.replace(/\s+/g, ' '))).toEqual([
      "-- first; not a cut CREATE TABLE a (x String DEFAULT 'it''s; \\'; fine')",
      '/* a ; /* nested ; */ b */ INSERT INTO `a;b` VALUES ("c;d") -- tail;',
      '-- nothing but a comment; SELECT 1 - -1',
    ]);
  });

  it('never cuts inside a literal made by quote', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 5 }), (values) => {
        const statements = values.map((value) => `SELECT ${quote(value)}`);
        expect(splitStatements(statements.join(';\n'))).toEqual(statements.map((statement) => statement.trim()));
      }),
    );
  });
});

describe('literalLists', () => {
  it('gives every literal once, in order, in lists that fit a statement', () => {
    const literals = Array.from({ length: 30_000 }, (_, index) => quote(`message-${index}`));
    const lists = [...literalLists(literals)];
    expect(lists.join(',')).toBe(literals.join(','));
    expect(Math.max(...lists.map(({ length }) => length))).toBeLessThanOrEqual(200_000);
    expect(lists.length).toBeGreaterThan(1);
    expect([...literalLists([])]).toEqual([]);
  });
});
