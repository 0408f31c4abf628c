import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '..');
const FOLDERS = ['services', 'load', 'dashboards', 'deploy', 'schemas', 'docs', '.ci'];
const PAGES = [
  ...globSync(['docs/**/*.md', 'load/*.md', 'README.md'], { cwd: ROOT }),
  // Their pages tell of what was, paths included.
].filter((page) => !/chaos-report|adr\//.test(page));
/** `/`-terminated folders and files, each with a leading slash, so that a path may be named from any folder on. */
const TREE = FOLDERS.flatMap((folder) =>
  globSync(`${folder}/**/*`, { cwd: ROOT, exclude: ['**/node_modules'] }).map((path) => `/${path}`),
).concat(
  FOLDERS.map((folder) => `/${folder}`),
  readdirSync(ROOT).map((path) => `/${path}`),
);
const IN_TREE = (path: string): boolean => TREE.some((known) => known.endsWith(`/${path}`));

/** `a/{b,c}.ts` is two paths; one with `*` or `<…>` is a pattern and none. */
function pathsOf(name: string): string[] {
  const braces = /^(.*)\{([^}]+)\}(.*)$/.exec(name);
  if (!braces) return [name];
  const [, before = '', choices = '', after = ''] = braces;
  return choices.split(',').flatMap((choice) => pathsOf(`${before}${choice}${after}`));
}

/** TypeScript files of a drawing, whose folder may stand above them. */
const drawnIn = (text: string): string[] =>
  [...text.matchAll(/^```\n(.*?)^```/gms)].flatMap(
    ([, drawing = '']) => drawing.match(/[\w.-]+(\/[\w.-]+)*\.ts\b/g) ?? [],
  );

/** What stands in backticks and is a path of ours: below one of our folders, or a file with an ending of ours. */
const namedIn = (text: string): string[] =>
  [...text.matchAll(/`([^`\s]+)`/g)]
    .map(([, name = '']) => name.replace(/[:#][\w-]*$/, '').replace(/\/$/, ''))
    .filter((name) => !/[*<>$=?]|^\.?\/|:\/\/|^node_modules/.test(name))
    .filter((name) => FOLDERS.some((folder) => name.startsWith(`${folder}/`)) || /\.(ts|mjs)$/.test(name))
    .flatMap(pathsOf);

describe('the pages of the repository', () => {
  it.each(PAGES)('%s names only files and folders that exist', (page) => {
    const text = readFileSync(join(ROOT, page), 'utf8');
    const missing = [...namedIn(text), ...drawnIn(text)].filter((name) => !IN_TREE(name));
    expect(missing).toEqual([]);
  });

  it.each(PAGES)('%s links only to files that exist', (page) => {
    const text = readFileSync(join(ROOT, page), 'utf8');
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link.split('#')[0] as string);
    const missing = links.filter(
      (link) => link !== '' && !/^[a-z]+:/.test(link) && !existsSync(join(ROOT, dirname(page), link)),
    );
    expect(missing).toEqual([]);
  });

  it('docs/architecture.md draws the way of one record over at most 25 files', () => {
    const [drawing = ''] =
      /^```\nbot ── frame.*?^```/ms.exec(readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8')) ?? [];
    const files = drawnIn(`${drawing}\n`);
    expect(files.length).toBeGreaterThan(20);
    expect(files.length).toBeLessThanOrEqual(25);
  });

  it('docs/architecture.md names only metrics and log lines that the services have', () => {
    const page = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
    const sources = globSync('services/**/*.ts', { cwd: ROOT })
      .map((file) => readFileSync(join(ROOT, file), 'utf8'))
      .join();
    const metrics = [...page.matchAll(/`((?:parley|kafka)_\w+)/g)].map(([, name = '']) => name);
    const lines = [...page.matchAll(/“([^”]+)”/g)].map(([, line = '']) => line.replace(/\s+/g, ' '));
    expect([...metrics, ...lines].filter((name) => !sources.includes(name))).toEqual([]);
  });
});
