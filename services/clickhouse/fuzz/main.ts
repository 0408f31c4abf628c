#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { fuzz } from '../testing/fuzz.ts';

const { values } = parseArgs({
  options: {
    statements: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
  },
});
const REPORT_EVERY = 20_000;
const statements = Number(values.statements);
const seed = Number(values.seed);
process.stdout.write(`${statements} statements as analyst, seed ${seed}\n`);
const { byStatus, breaches } = await fuzz({
  statements,
  seed,
  user: 'analyst',
  onProgress: (done, statuses) => {
    if (done % REPORT_EVERY === 0) process.stdout.write(`${done} ${JSON.stringify(statuses)}\n`);
  },
});
for (const breach of breaches) process.stdout.write(`${JSON.stringify(breach)}\n`);
process.stdout.write(`${JSON.stringify({ statements, seed, byStatus, breaches: breaches.length })}\n`);
process.exitCode = breaches.length === 0 ? 0 : 1;
