import { parseArgs } from 'node:util';
import { dataFolder } from './data-set.ts';
import { modelOf } from './model.ts';
import { jsonReport, textReport } from './report.ts';

const HELP = `Scores the reference NLP models on the labelled chat data.

usage: npm run nlp:score -- [options]

  --data DIR     folder of the *.jsonl.gz files (default: PARLEY_SHARED_DATA, else ../shared/data)
  --split NAME   dev (for tuning), test (the reported half, default) or all
  --limit N      at most N messages of each file
  --model FILE   another model: a module that exports loadLocalModel(), as services/enricher/fallback/local-model.ts
  --json         one JSON document on stdout instead of tables
  --help         this text
`;

const say = (text: string) => process.stderr.write(`${text}\n`);

function usageError(message: string): never {
  say(`${message}\n\n${HELP}`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        data: { type: 'string' },
        split: { type: 'string', default: 'test' },
        limit: { type: 'string' },
        model: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return usageError(error instanceof Error ? error.message : String(error));
  }
}

const options = readOptions();
if (options.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const { split } = options;
if (split !== 'dev' && split !== 'test' && split !== 'all') usageError('--split must be dev, test or all');
const limit = options.limit === undefined ? Number.POSITIVE_INFINITY : Number(options.limit);
if (!(limit >= 1)) usageError('--limit must be a positive number');
const folder = dataFolder(options.data ?? process.env['PARLEY_SHARED_DATA']);
if (folder === undefined) {
  say('The labelled data is not there; name its folder with --data or PARLEY_SHARED_DATA.');
  process.exit(1);
}
// Only now, so that --help and a wrong option need not load the models.
const [{ score }, analyse] = await Promise.all([import('./scoring.ts'), modelOf(options.model)]);
const startedMs = performance.now();
const scores = await score({
  folder,
  split,
  analyse,
  limit,
  onProgress: (dataset, messages) => {
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    say(`${seconds.padStart(6)} s  ${dataset}: ${messages} messages`);
  },
});
process.stdout.write(
  options.json ? `${JSON.stringify(jsonReport(scores, split), null, 2)}\n` : `${textReport(scores, split)}\n`,
);
