import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { areaUnderCurve, Confusion } from './confusion.ts';
import { splitOf } from './data-set.ts';
import { DATA_SETS } from './scoring.ts';

const run = promisify(execFile);
const main = join(import.meta.dirname, 'main.ts');

describe('Confusion', () => {
  const confusion = new Confusion();
  for (const [label, answer, times] of [
    ['a', 'a', 8],
    ['a', 'b', 2],
    ['b', 'b', 3],
    ['b', 'c', 1],
  ] as const) {
    for (let time = 0; time < times; time++) confusion.add(label, answer);
  }

  it('counts', () => {
    expect(confusion.accuracy).toBeCloseTo(11 / 14);
    expect(confusion.recall('a')).toBeCloseTo(0.8);
    expect(confusion.f1('a')).toBeCloseTo(16 / 18);
    expect(confusion.f1('b')).toBeCloseTo(6 / 9);
    expect(confusion.macroF1).toBeCloseTo((16 / 18 + 6 / 9) / 2);
    expect(confusion.mistakes('a', 3)).toEqual([['b', 2]]);
  });
});

describe('areaUnderCurve', () => {
  it('is 1 for a perfect order, 0.5 for none, and counts ties half', () => {
    expect(areaUnderCurve([3, 4], [1, 2])).toBe(1);
    expect(areaUnderCurve([1, 1], [1, 1, 1])).toBe(0.5);
    expect(areaUnderCurve([2, 1], [1, 0])).toBe(0.875);
  });
});

describe('splitOf', () => {
  it('halves the conversations, and keeps a dialogue and its translations together', () => {
    const dev = Array.from({ length: 10_000 }, (_, at) => splitOf(`set-${at}`)).filter((split) => split === 'dev');
    expect(Math.abs(dev.length - 5_000)).toBeLessThan(250);
    expect(new Set(['en', 'de', 'it'].map((language) => splitOf(`woz-${language}-train-17`))).size).toBe(1);
  });
});

describe('npm run nlp:score', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nlp-score-'));
    for (const dataset of DATA_SETS) {
      const rows = [
        { text: 'Hello there my friend', labels: { language: 'en', sentiment: 'positive' } },
        { text: 'Ich hasse diesen schrecklichen Dienst', labels: { language: 'de', sentiment: 'negative' } },
        { text: 'you are an idiot', labels: { language: 'en', toxicity: 'toxic', intent: 'no' } },
        { text: 'good morning', labels: { language: 'en', toxicity: 'non-toxic', intent: 'greeting' } },
      ].map((row, at) => ({ dataset, conversation_id: `${dataset}-${at}`, turn: 0, speaker: 'user', ...row }));
      await writeFile(join(folder, `${dataset}.jsonl.gz`), gzipSync(rows.map((row) => JSON.stringify(row)).join('\n')));
    }
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('prints one JSON document, progress apart', async () => {
    const { stdout, stderr } = await run(process.execPath, [main, '--data', folder, '--split', 'all', '--json']);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ split: 'all', messages: 4 * DATA_SETS.length });
    expect(report.language).toMatchObject({ messages: 4 * DATA_SETS.length, by_file: { xed: { messages: 4 } } });
    expect(report.toxicity).toMatchObject({ auc: 1, accuracy: 1 });
    expect(report.intent.by_label.greeting).toMatchObject({ messages: 1, recall: 1 });
    expect(stderr).toMatch(/xed: 4 messages/);
  });

  it('prints tables, honours --limit, and refuses wrong usage', async () => {
    const { stdout } = await run(process.execPath, [main, '--data', folder, '--split', 'all', '--limit', '2']);
    expect(stdout).toMatch(/\| \*\*language\*\* +\| +32 \|/);
    await expect(run(process.execPath, [main, '--split', 'both'])).rejects.toMatchObject({ code: 2 });
    await expect(run(process.execPath, [main, '--nonsense'])).rejects.toMatchObject({ code: 2 });
    await expect(run(process.execPath, [main, '--data', tmpdir()])).rejects.toMatchObject({ code: 1 });
    expect((await run(process.execPath, [main, '--help'])).stdout).toMatch(/usage: npm run nlp:score/);
  });
});
