import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { doubleFacts, doubleReceipts, rollupMismatches } from '../platform/clickhouse/reconciliation.ts';

/** How many there are, and the first of them as rows. */
export interface Violation {
  readonly count: number;
  readonly examples: readonly Readonly<Record<string, unknown>>[];
}

export interface Violations {
  readonly double_receipts: Violation;
  readonly double_facts: Violation;
  readonly rollup_mismatches: Violation;
}

const NONE: Violation = { count: 0, examples: [] };
const LOOKS = 4;
const PAUSE_MS = 300;

/** Two current rows for one first place in `chat.events`: one message under two ids. */
async function doubleOrigins(client: ClickHouse): Promise<Violation> {
  const rows = await client.query<Record<string, unknown> & { violations: number }>(
    `SELECT *, count() OVER () AS violations
     FROM (
       SELECT origin_topic_id, origin_partition, origin_offset, count() AS copies, min(message_id) AS a, max(message_id) AS b
       FROM messages FINAL
       GROUP BY origin_topic_id, origin_partition, origin_offset
       HAVING copies > 1 AND a != b
     )
     LIMIT 10`,
  );
  return {
    count: Number(rows[0]?.violations ?? 0),
    examples: rows.map(({ violations: _, a, b, ...row }) => ({ ...row, message_ids: [a, b] })),
  };
}

const together = (one: Violation, other: Violation): Violation => ({
  count: one.count + other.count,
  examples: [...one.examples, ...other.examples],
});

/** What was seen in both looks; where not all rows are listed they cannot be compared, and the later look counts. */
function inBoth(earlier: Violation, later: Violation): Violation {
  const listed = (look: Violation) => look.count === look.examples.length;
  if (later.count === 0 || !listed(earlier) || !listed(later)) return later;
  const before = new Set(earlier.examples.map((row) => JSON.stringify(row)));
  const examples = later.examples.filter((row) => before.has(JSON.stringify(row)));
  return { count: examples.length, examples };
}

/**
 * A violation is believed when it stays: an insert reaches the tables one after another, so a look in between sees a
 * difference that is gone a moment later.
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
  return found.count === 0 ? NONE : found;
}

/** The three kinds one after another, since each reads a whole table. */
export async function readViolations(client: ClickHouse): Promise<Violations> {
  const { database } = client;
  return {
    double_receipts: await lasting(() => doubleReceipts(client, database)),
    double_facts: await lasting(async () => together(await doubleFacts(client, database), await doubleOrigins(client))),
    rollup_mismatches: await lasting(() => rollupMismatches(client, database)),
  };
}
