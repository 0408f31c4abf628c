import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { doubleFacts, doubleOrigins, doubleReceipts, receiptsWithoutFacts } from './queries/reconciliation.ts';
import { rollupMismatches } from './queries/rollup-recount.ts';
import { type Scope, together, type Violations as Violation } from './queries/violation-query.ts';

export type { Violation };

/** By kind; null where the kind was not looked for. */
export interface Violations {
  readonly double_receipts: Violation;
  readonly double_facts: Violation;
  readonly lost_facts: Violation;
  /** A rollup row is of no partition, so that it is not recounted where some partitions alone are asked for. */
  readonly rollup_mismatches: Violation | null;
}

const NONE: Violation = { count: 0, examples: [] };
const LOOKS = 4;
const PAUSE_MS = 300;

const EXAMPLES = 10;

/**
 * What was seen in both looks. Where more rows differ than are listed, the share that stayed among the listed ones, which
 * are chosen by their hashes, stands for all.
 */
function inBoth(earlier: Violation, later: Violation): Violation {
  const before = new Set(earlier.examples.map((row) => JSON.stringify(row)));
  const examples = later.examples.filter((row) => before.has(JSON.stringify(row)));
  const unlisted = later.count - later.examples.length;
  const count = unlisted === 0 ? examples.length : Math.round((later.count * examples.length) / later.examples.length);
  return { count, examples };
}

/**
 * A violation is believed when it stays: an insert reaches the tables one after another, so a look in between sees a
 * difference that is gone, or another one, a moment later.
 */
export async function lasting(
  look: () => Promise<Violation>,
  pause: () => Promise<void> = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS)),
): Promise<Violation> {
  let found = await look();
  for (let again = 1; again < LOOKS && found.count > 0; again++) {
    await pause();
    found = inBoth(found, await look());
  }
  return found.count === 0 ? NONE : { count: found.count, examples: found.examples.slice(0, EXAMPLES) };
}

/** One kind after another, since each reads a whole table. */
export async function readViolations(
  client: ClickHouse,
  scope: Scope,
  progress: (line: string) => void,
): Promise<Violations> {
  const { database } = client;
  const checks = [doubleReceipts, doubleFacts, doubleOrigins, receiptsWithoutFacts] as const;
  const told = ['double receipts', 'double facts', 'double origins', 'lost facts'];
  const found: Violation[] = [];
  for (const [index, check] of checks.entries()) {
    progress(`looking for ${told[index]}`);
    found.push(await lasting(() => check(client, database, scope)));
  }
  const [receipts, facts, origins, lost] = found as [Violation, Violation, Violation, Violation];
  if (!scope.partitions) progress('recounting rollups');
  return {
    double_receipts: receipts,
    double_facts: together(facts, origins),
    lost_facts: lost,
    rollup_mismatches: scope.partitions ? null : await lasting(() => rollupMismatches(client, database, scope)),
  };
}
