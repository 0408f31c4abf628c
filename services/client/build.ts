/**
 * Makes `dist/`, or the folder that is named, which is what `@parley/client` ships: one file each for `import`, `require` and browsers, and declarations for
 * both kinds of modules. The rest of the repository imports the sources and needs no build.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { type BuildOptions, build, type Plugin } from 'esbuild';

const HERE = import.meta.dirname;
const DIST = process.argv[2] ?? join(HERE, 'dist');
/** Where declarations lie beside each other as the sources do: `client/` and the few files of `core/`. */
const SERVICES = join(HERE, '..');
/** A declaration file's imports name sources; what is installed has only declarations, which `.js` finds. */
const IMPORT = /(from\s+['"])(\.{1,2}\/[^'"]+)\.ts(['"])/g;

/**
 * The sources look for the package `ws` when they run, since services and pages share them. What is installed knows: in Node
 * the package is there, and a browser never sees the module that needs it.
 */
const onlyTransport = (name: 'wsTransport' | 'globalTransport', file: string): Plugin => ({
  name,
  setup({ onLoad }) {
    onLoad({ filter: /default-transport\.ts$/ }, ({ path }) => ({
      contents: `import { ${name} } from './${file}';\nexport const defaultTransport = async () => ${name};\n`,
      loader: 'ts',
      resolveDir: dirname(path),
    }));
  },
});

const shared: BuildOptions = { bundle: true, legalComments: 'none', logLevel: 'warning', external: ['ws'] };

async function bundles(): Promise<void> {
  const node: BuildOptions = {
    ...shared,
    entryPoints: [join(HERE, 'index.ts')],
    platform: 'node',
    target: 'node20',
    plugins: [onlyTransport('wsTransport', 'ws-transport.ts')],
  };
  await Promise.all([
    build({ ...node, format: 'esm', outfile: join(DIST, 'index.js') }),
    build({ ...node, format: 'cjs', outfile: join(DIST, 'index.cjs') }),
    build({
      ...shared,
      entryPoints: [join(HERE, 'browser.ts')],
      platform: 'browser',
      format: 'esm',
      target: 'es2022',
      plugins: [onlyTransport('globalTransport', 'global-transport.ts')],
      outfile: join(DIST, 'browser.js'),
    }),
  ]);
}

/** The entries' declarations and what these import, as modules of ECMAScript and, in a folder that says so, of CommonJS. */
async function declarations(): Promise<void> {
  const all = await mkdtemp(join(tmpdir(), 'parley-client-types-'));
  try {
    const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
    await promisify(execFile)(process.execPath, [tsc, '-p', join(HERE, 'tsconfig.build.json'), '--outDir', all]);
    const needed = await reachable(['client/index.d.ts', 'client/browser.d.ts'], all);
    for (const folder of ['types', 'types-cjs']) {
      for (const [file, text] of needed) await write(join(DIST, folder, file), text);
    }
    await write(join(DIST, 'types-cjs/package.json'), '{ "type": "commonjs" }\n');
  } finally {
    await rm(all, { recursive: true, force: true });
  }
}

async function reachable(entries: readonly string[], root: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const open = [...entries];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (found.has(file)) continue;
    const text = await readFile(join(root, file), 'utf8');
    found.set(file, text.replace(IMPORT, '$1$2.js$3'));
    for (const [, , path] of text.matchAll(IMPORT)) {
      open.push(relative(root, join(root, dirname(file), `${path}.d.ts`)));
    }
  }
  return found;
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

await rm(DIST, { recursive: true, force: true });
await Promise.all([bundles(), declarations()]);
await copyFile(join(SERVICES, '../LICENSE'), join(DIST, 'LICENSE'));
