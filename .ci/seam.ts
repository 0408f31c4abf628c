import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * What may be known of kafkajs outside of services/platform/kafka: nothing, also not by a type that is inferred or handed
 * on. The declarations that the compiler wrote say what a module shows; one that shows kafkajs, or a module that does, stays
 * inside.
 */
export interface SeamFault {
  readonly file: string;
  readonly reaches: string;
}

const INSIDE = 'services/platform/kafka/';
/** kafkajs's inner parts as Parley describes them are kafkajs's types as well. */
const INTERNALS = `${INSIDE}kafkajs/kafkajs-internals.ts`;
/** Programs on kafkajs as it is: to be compared with; and a test that takes its hash for the oracle. */
const EXEMPT = new Set([
  'load/enricher/baseline.ts',
  'load/enricher/naive.ts',
  'load/gateway/baseline.ts',
  'services/core/partitioner.test.ts',
]);

const SPECIFIER = /(?:from|import|import\(|require\()\s*['"]([^'"]+)['"]/g;
const isVendor = (name: string) => name === 'kafkajs' || name.startsWith('kafkajs/');

/** Packages as they are named, files from the root on. */
const importsOf = (file: string, text: string): string[] =>
  [...text.matchAll(SPECIFIER)].map(([, name = '']) => (name.startsWith('.') ? join(dirname(file), name) : name));

/** Both by file: what modules are made of, and the declarations of what they show. */
export function seamFaults(sources: ReadonlyMap<string, string>, shown: ReadonlyMap<string, string>): SeamFault[] {
  const showing = new Set([INTERNALS]);
  for (let before = -1; before < showing.size; ) {
    before = showing.size;
    for (const [file, text] of shown) {
      if (importsOf(file, text).some((name) => isVendor(name) || showing.has(name))) showing.add(file);
    }
  }
  return [...sources]
    .filter(([file]) => !file.startsWith(INSIDE) && !EXEMPT.has(file))
    .flatMap(([file, text]) =>
      [...importsOf(file, text), ...importsOf(file, shown.get(file) ?? '')]
        .filter((name) => isVendor(name) || showing.has(name))
        .map((reaches) => ({ file, reaches })),
    );
}

if (import.meta.main) {
  const [declarations = ''] = process.argv.slice(2);
  const root = new URL('..', import.meta.url).pathname;
  const read = (from: string, pattern: string, rename = (file: string) => file) =>
    new Map(
      globSync(pattern, { cwd: from, exclude: ['**/node_modules/**', 'load/seam/**'] }).map((file) => [
        rename(file),
        readFileSync(join(from, file), 'utf8'),
      ]),
    );
  const sources = read(root, '{services,load}/**/*.ts');
  const shown = read(declarations, '{services,load}/**/*.d.ts', (file) => file.replace(/\.d\.ts$/, '.ts'));
  if (shown.size < sources.size / 2) throw new Error(`${declarations} has ${shown.size} declarations`);
  const faults = seamFaults(sources, shown);
  for (const { file, reaches } of faults) process.stdout.write(`${file} reaches kafkajs by ${reaches}\n`);
  process.stdout.write(faults.length === 0 ? 'No kafkajs type leaves platform/kafka.\n' : `${faults.length} leaks.\n`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
