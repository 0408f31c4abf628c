import { describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import { removeFolder, startEndpointProcess, temporaryFolder } from './testing/endpoint-process.ts';

describe('durability', () => {
  it('finds every acked row once after kill -9 in the middle of inserts', async () => {
    const folder = temporaryFolder();
    let process = await startEndpointProcess(folder);
    const post = (url: string, sql: string, body: string, token?: string) => {
      const params = new URLSearchParams({ query: sql, ...(token && { insert_deduplication_token: token }) });
      return fetch(`${url}/?${params}`, { method: 'POST', body }).then(async (response) => {
        const text = await response.text();
        if (response.status !== 200) throw new Error(text);
        return text;
      });
    };
    await post(
      process.url,
      `CREATE TABLE log (block UInt32, row UInt32) ENGINE = MergeTree ORDER BY (block, row)
        SETTINGS non_replicated_deduplication_window = 10000`,
      '',
    );
    const acked = new Set<number>();
    const tried = new Set<number>();
    const insert = async (url: string, block: number) => {
      tried.add(block);
      const rows = Array.from({ length: 200 }, (_, row) => `${block}\t${row}`).join('\n');
      await post(url, 'INSERT INTO log FORMAT TSV', rows, `block-${block}`);
      acked.add(block);
    };
    let next = 0;
    for (let round = 0; round < 3; round += 1) {
      const goal = acked.size + 25;
      const { url } = process;
      let killed = false;
      const writers = Array.from({ length: 3 }, async () => {
        while (!killed) {
          const block = next++;
          await insert(url, block).catch(() => undefined);
          if (acked.size >= goal) killed = true;
        }
      });
      await eventually(() => expect(acked.size).toBeGreaterThanOrEqual(goal));
      await process.end('SIGKILL');
      await Promise.all(writers);
      process = await startEndpointProcess(folder);
      const query =
        'SELECT groupArray(block) FROM (SELECT block FROM log GROUP BY block HAVING count() = 200) FORMAT JSONCompactEachRow';
      const present = new Set((JSON.parse(await post(process.url, query, '')) as [number[]])[0]);
      expect([...acked].filter((block) => !present.has(block))).toEqual([]);
    }
    // A retry of everything with its token changes nothing that was there and adds what was not.
    for (const block of tried) await insert(process.url, block);
    const [total, distinct] = (await post(process.url, 'SELECT count(), uniqExact(block, row) FROM log', ''))
      .trim()
      .split('\t');
    expect([total, distinct]).toEqual([String(tried.size * 200), String(tried.size * 200)]);
    expect(await process.end('SIGTERM')).toBe(0);
    removeFolder(folder);
  });
});
