import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** A package of CommonJS files as one script that puts its exports at `globalThis[name]`: for a page without modules. */
export function bundle(packageName: string, name: string): string {
  const entry = createRequire(import.meta.url).resolve(packageName);
  const modules = new Map<string, string>();
  const add = (file: string): void => {
    if (modules.has(file)) return;
    const require = createRequire(file);
    const source = readFileSync(file, 'utf8').replace(/\brequire\(["'](\.[^"']*)["']\)/g, (_, path: string) => {
      return `require(${JSON.stringify(require.resolve(path))})`;
    });
    modules.set(file, source);
    for (const [, path = ''] of source.matchAll(/\brequire\("(\/[^"]*)"\)/g)) add(path);
  };
  add(entry);
  const table = [...modules].map(
    ([file, source]) => `${JSON.stringify(file)}: (module, exports, require) => {${source}\n}`,
  );
  return `{ const files = {${table.join(',\n')}}; const loaded = {};
    const require = (file) => {
      if (!loaded[file]) { loaded[file] = { exports: {} }; files[file](loaded[file], loaded[file].exports, require); }
      return loaded[file].exports;
    };
    globalThis[${JSON.stringify(name)}] = require(${JSON.stringify(entry)}); }`;
}
