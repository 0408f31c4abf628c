import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { dataFolder, readDataSet } from '../../load/nlp-score/data-set.ts';
import { MAX_TEXT_UNITS } from './api/limits.ts';
import { schemaValidator } from './testing/api-schema.ts';
import { RunningApi } from './testing/running-api.ts';

const folder = dataFolder(process.env['PARLEY_SHARED_DATA']);
const isResult = schemaValidator('Result');

/** Pieces whose repetitions are slow for careless patterns: long runs that almost match. */
const ALMOST = ['a@', '1.', '$1,', 'http://', 'f*', '#a', '😀\u200d', '((', "n't ", 'no ', '\u0301', '1 2-'];

const repeated = (piece: string, units: number): string => piece.repeat(units / piece.length).slice(0, units);

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start();
});
afterAll(() => api.stop());

describe('hostile input', () => {
  /** CPU time in microseconds, the least of several tries: what a busy machine adds is not the text's. */
  async function costOf(text: string, tries: number): Promise<number> {
    let least = Number.POSITIVE_INFINITY;
    for (let count = 0; count < tries; count++) {
      const before = process.cpuUsage();
      const { status, json } = await api.analyze({ id: 'a', text });
      const { user, system } = process.cpuUsage(before);
      expect([text.slice(0, 4), status, isResult(json)]).toEqual([text.slice(0, 4), 200, true]);
      least = Math.min(least, user + system);
    }
    return least;
  }

  // Sixteen times the text costs at most 16 times as much where the cost grows with the size, up to 256 times where it
  // grows with the square.
  it('costs long texts that almost match no more than their size, not its square', async () => {
    for (const piece of ALMOST) {
      const text = repeated(piece, MAX_TEXT_UNITS);
      // Compiles what is hot, else the short text pays for it.
      await costOf(text, 2);
      const short = await costOf(repeated(piece, MAX_TEXT_UNITS / 16), 8);
      const long = await costOf(text, 3);
      expect([piece, Math.round(long / short), long / short < 16]).toEqual([piece, expect.any(Number), true]);
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
