import { tmpdir } from 'node:os';
import { join } from 'node:path';

// The suite starts services some two hundred times, each of which would compile the same 900 modules.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'parley-node-cache');

// ESM mode: jest must run under `node --experimental-vm-modules`, else swc silently emits CommonJS.
const shared = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  testPathIgnorePatterns: ['/node_modules/', '/.parley/'],
  modulePathIgnorePatterns: ['/.parley/'],
};

export default {
  projects: [
    { ...shared, displayName: 'unit', testRegex: '(?<!\\.it)\\.test\\.ts$' },
    {
      ...shared,
      displayName: 'stack',
      testRegex: '\\.it\\.test\\.ts$',
      globalSetup: '<rootDir>/services/local/testing/global-setup.ts',
      globalTeardown: '<rootDir>/services/local/testing/global-teardown.ts',
    },
  ],
  // On two cores, a quarter of which two workers leave to their files' waits. The sequencer counts on this number.
  maxWorkers: 3,
  testSequencer: '<rootDir>/.ci/longest-first.mjs',
  testTimeout: 60_000,
};
