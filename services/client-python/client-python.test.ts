import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { Python } from './testing/venv.ts';

const python = await Python.find();
const title = (text: string) => (typeof python === 'string' ? `${text} (skipped: ${python})` : text);
const test = typeof python === 'string' ? it.skip : it;
const run = (...args: string[]) => (python as Python).run(args, { PARLEY_NODE: process.execPath });

test(title("the Python client passes its own tests, the conformance kit's among them"), async () => {
  const { code, stdout, stderr } = await run('-m', 'pytest', '-q', '-p', 'no:cacheprovider');
  expect([code, stderr, code === 0 ? '' : stdout]).toEqual([0, '', '']);
  expect(stdout).not.toContain('skipped');
});

test(title('the Python client is typed: mypy has nothing to say in its strict mode'), async () => {
  const { stdout } = await run('-m', 'mypy', '--cache-dir', join(tmpdir(), 'parley-mypy'));
  expect(stdout).toMatch(/^Success: no issues found in \d+ source files\n$/);
});

test(title('the Python client is built by hatch, installed, and imported from where it was installed'), async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-client-python-'));
  try {
    const pip = ['-m', 'pip', '--disable-pip-version-check', '--quiet'];
    const wheel = await run(...pip, 'wheel', '--no-deps', '--no-build-isolation', '--wheel-dir', folder, '.');
    expect([wheel.code, await readdir(folder)]).toEqual([0, ['parley_client-0.1.0-py3-none-any.whl']]);
    const site = join(folder, 'site');
    await run(...pip, 'install', '--no-deps', '--target', site, join(folder, 'parley_client-0.1.0-py3-none-any.whl'));
    const program =
      'import parley_client; print(parley_client.__file__); print(parley_client.ParleyClient.__doc__[:27])';
    const { stdout } = await (python as Python).run(['-c', program], { PYTHONPATH: site });
    expect(stdout).toBe(`${site}/parley_client/__init__.py\nA bot's connection to Parle\n`);
    expect(await readdir(join(site, 'parley_client'))).toContain('py.typed');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
