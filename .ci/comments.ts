import { globSync, readFileSync } from 'node:fs';
import { parse } from '@babel/parser';

/** A comment that a machine can see is hard to read. */
export interface CommentFault {
  readonly line: number;
  readonly text: string;
  readonly rule: string;
}

const FOLDERS = ['services', 'load', 'dashboards', 'deploy'];

const RULES: readonly { readonly rule: string; readonly broken: RegExp }[] = [
  { rule: 'begins with "Of", so its subject is missing', broken: /^Of\s/ },
  { rule: 'names a section of a page that is not in the repository', broken: /\bdesign §/ },
];

/** Comments by the parser's own tokens; line comments that follow each other are one. */
function commentsIn(source: string): { line: number; text: string }[] {
  const { comments = [] } = parse(source, { sourceType: 'module', plugins: ['typescript'] });
  const found: { line: number; end: number; text: string; kind: string }[] = [];
  for (const { type, value, loc } of comments ?? []) {
    const text = value
      .replace(/^\*/, '')
      .replace(/^[^\S\n]*\*?[^\S\n]?/gm, '')
      .trim();
    const [line, end] = [loc?.start.line ?? 0, loc?.end.line ?? 0];
    const last = found.at(-1);
    if (last && type === 'CommentLine' && last.kind === type && last.end === line - 1) {
      last.end = end;
      last.text += `\n${text}`;
    } else found.push({ line, end, text, kind: type });
  }
  return found;
}

export const commentFaults = (source: string): CommentFault[] =>
  commentsIn(source).flatMap(({ line, text }) =>
    RULES.filter(({ broken }) => broken.test(text)).map(({ rule }) => ({ line, text, rule })),
  );

if (import.meta.main) {
  const root = new URL('..', import.meta.url).pathname;
  let count = 0;
  for (const file of globSync(
    FOLDERS.map((folder) => `${folder}/**/*.{ts,mjs}`),
    { cwd: root, exclude: ['**/node_modules/**'] },
  )) {
    for (const { line, text, rule } of commentFaults(readFileSync(`${root}${file}`, 'utf8'))) {
      count++;
      process.stdout.write(`${file}:${line} ${rule}: ${text.split('\n')[0]}\n`);
    }
  }
  process.stdout.write(count === 0 ? 'Comments are well.\n' : `${count} comments to mend.\n`);
  process.exitCode = count === 0 ? 0 : 1;
}
