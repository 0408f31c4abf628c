#!/usr/bin/env node
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { isParleyError, messageOf } from '../../services/core/errors.ts';
import { seededRandom } from '../../services/core/random.ts';
import { ANALYSER_SPEC } from '../../services/enricher/analyse/config.ts';
import { formatTable } from '../../services/operator/text-table.ts';
import { type HitRate, interleaved, measure, textsOf } from './hit-rate.ts';

const DEFAULT_BYTES = ANALYSER_SPEC.NLP_CACHE_BYTES.default as number;

const HELP = `How often the enricher's result cache would have answered: streams the texts of chat data through its key and its cache.

usage: npm run load -- cache [options] [FILE…]

  FILE…            JSON Lines, plain or gzip, with conversation_id, speaker, text
                   (default: *.jsonl.gz in PARLEY_SHARED_DATA, else ../shared/data)
  --cache-bytes N  bound of the cache (default ${DEFAULT_BYTES}, as NLP_CACHE_BYTES)
  --seed N         of the order in which the files are mixed (default 1)
  --json           one JSON document on stdout instead of a table
  --help           this text

Each file through a cache of its own, then all of them through one: mixed at random, message by message.
`;

function usageError(message: string): never {
  process.stderr.write(`${message}\n\n${HELP}`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        'cache-bytes': { type: 'string', default: String(DEFAULT_BYTES) },
        seed: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    return usageError(messageOf(error));
  }
}

function sharedFiles(): readonly string[] {
  const folder = process.env['PARLEY_SHARED_DATA'] ?? join(import.meta.dirname, '../../../shared/data');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl.gz'))
    .toSorted()
    .map((name) => join(folder, name));
}

const percent = (part: number, whole: number) => (whole === 0 ? null : Math.round((1_000 * part) / whole) / 10);

function tableOf(rates: readonly HitRate[]): string {
  const rows = rates.map(({ stream, messages, hits, evicted, entries, bytes }) => [
    stream,
    messages,
    percent(hits, messages),
    percent(evicted, messages),
    entries,
    Math.round((10 * bytes) / 2 ** 20) / 10,
  ]);
  return formatTable(['stream', 'messages', 'hits %', 'evicted %', 'entries', 'MiB'], rows);
}

const { values, positionals } = readOptions();
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const [maxBytes, seed] = [Number(values['cache-bytes']), Number(values.seed)];
if (!Number.isInteger(maxBytes) || maxBytes < 1_024) usageError('--cache-bytes must be an integer of at least 1024');
if (!Number.isInteger(seed)) usageError('--seed must be an integer');
const files = positionals.length > 0 ? positionals : sharedFiles();
if (files.length === 0) {
  process.stderr.write('Skipped: the chat data is not there; name files, or their folder with PARLEY_SHARED_DATA.\n');
  if (values.json) process.stdout.write('{"skipped":true}\n');
  process.exit(0);
}
try {
  const rates: HitRate[] = [];
  for (const file of files) rates.push(await measure(basename(file).split('.')[0] ?? file, textsOf(file), maxBytes));
  if (files.length > 1) {
    rates.push(await measure('all, mixed', interleaved(files.map(textsOf), seededRandom(seed)), maxBytes));
  }
  process.stdout.write(
    values.json ? `${JSON.stringify({ cache_bytes: maxBytes, seed, rates })}\n` : `${tableOf(rates)}\n`,
  );
} catch (error) {
  if (!isParleyError(error)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = 1;
}
