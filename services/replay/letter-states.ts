import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import type { ErasureList } from '../platform/clickhouse/erasure-list.ts';
import type { ReadLetter } from './dead-letters.ts';
import { readLetterRows } from './letter-rows.ts';
import type { LetterState } from './plan.ts';

/** What ClickHouse knows of each letter's message, in the letters' order. */
export async function readLetterStates(
  clickhouse: ClickHouse,
  letters: readonly ReadLetter[],
  { replayTopic, erasures }: { readonly replayTopic: string; readonly erasures: ErasureList },
): Promise<LetterState[]> {
  const rows = await readLetterRows(clickhouse, letters, replayTopic);
  return letters.map(({ event }, index) => ({
    row: rows[index],
    isErased: event !== null && erasures.isErased(event),
  }));
}
