import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { dataFolder, readDataSet } from '../../load/nlp-score/data-set.ts';
import { MAX_TEXT_UNITS } from './api/limits.ts';
import { schemaValidator } from './testing/api-schema.ts';
import { RunningApi } from './testing/running-api.ts';

const folder = dataFolder(process.env['PARLEY_SHARED_DATA']);
const isResult = schemaValidator('Result');

/** Texts that are slow for careless patterns: long runs that almost match. */
const ALMOST = ['a@', '1.', '$1,', 'http://', 'f*', '#a', '😀\u200d', '((', "n't ", 'no ', '\u0301', '1 2-'].map(
  (piece) => piece.repeat(MAX_TEXT_UNITS / piece.length).slice(0, MAX_TEXT_UNITS),
);

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start();
});
afterAll(() => api.stop());

describe('hostile input', () => {
  it('answers long texts that almost match, each in well under a second of CPU', async () => {
    for (const text of ALMOST) {
      const before = process.cpuUsage();
      const { status, json } = await api.analyze({ id: 'a', text });
      const { user, system } = process.cpuUsage(before);
      expect([text.slice(0, 4), status, isResult(json)]).toEqual([text.slice(0, 4), 200, true]);
      expect((user + system) / 1_000).toBeLessThan(1_000);
    }
  });

  const where = folder ? '' : ' (skipped: no data set in PARLEY_SHARED_DATA or ../shared/data)';
  (folder ? it : it.skip)(`answers every text of the data set hostile_input${where}`, async () => {
    let texts = 0;
    for await (const { text } of readDataSet(folder ?? '', 'hostile_input')) {
      texts += 1;
      const { status, json } = await api.analyze({ id: String(texts), text });
      expect([texts, status, isResult(json)]).toEqual([
        texts,
        text.length > MAX_TEXT_UNITS ? 413 : 200,
        status === 200,
      ]);
    }
    expect(texts).toBe(687);
  });
});
