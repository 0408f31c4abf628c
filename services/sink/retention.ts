import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { forCluster } from '../platform/clickhouse/cluster-statements.ts';

/** Days that rows are kept; undefined: for ever. */
export interface Retention {
  readonly messageKeys: number;
  /**
   * By `sent_at`, and for history that an importer brought in later by when it came: gone at once, it would be counted as
   * lost. A table partition is a month of `sent_at`, and goes whole once all of it is that old.
   */
  readonly facts: number | undefined;
  /** For the rollups by minute; those by hour stay. */
  readonly minutes: number | undefined;
}

interface Rule {
  readonly table: string;
  readonly column: string;
  readonly days: number | undefined;
  readonly where?: string;
}

const rulesOf = ({ messageKeys, facts, minutes }: Retention): Rule[] => [
  { table: 'message_keys', column: 'toDateTime(enriched_at)', days: messageKeys },
  { table: 'messages', column: 'toDateTime(greatest(sent_at, enriched_at))', days: facts },
  { table: 'rollup_sums', column: 'at', days: minutes, where: "grain = 'minute'" },
  { table: 'rollup_conversations', column: 'at', days: minutes, where: "grain = 'minute'" },
];

/**
 * Sets the TTL of each table where it is another one; nothing is rewritten for it, what is older goes by and by. What the
 * one before may have removed is noted first, for `verify`: a TTL that is raised or given up brings nothing back.
 */
export async function keepRetention(client: ClickHouse, retention: Retention): Promise<void> {
  const tables = await client.query<{ name: string; create: string }>(
    'SELECT name, create_table_query AS create FROM system.tables WHERE database = {database:String}',
    { params: { database: client.database } },
  );
  const creates = new Map(tables.map(({ name, create }) => [name, create]));
  for (const { table, column, days, where } of rulesOf(retention)) {
    const create = creates.get(table);
    if (create === undefined) continue;
    const before = daysOf(create);
    if (days === undefined ? before === undefined : create.includes(`TTL ${column} + toIntervalDay(${days})`)) continue;
    if (before !== undefined && before !== days) {
      await client.command(
        `INSERT INTO retention_floors (table_name, floor) SELECT '${table}', toStartOfDay(now('UTC')) - INTERVAL ${before - 1} DAY`,
      );
    }
    if (days === undefined) await client.command(forCluster(`ALTER TABLE ${table} REMOVE TTL`, client.cluster));
    else {
      if (table === 'messages')
        await client.command(forCluster(`ALTER TABLE ${table} MODIFY SETTING ttl_only_drop_parts = 1`, client.cluster));
      const kept = `${column} + INTERVAL ${days} DAY${where ? ` DELETE WHERE ${where}` : ''}`;
      const statement = `ALTER TABLE ${table} MODIFY TTL ${kept} SETTINGS materialize_ttl_after_modify = 0`;
      await client.command(forCluster(statement, client.cluster));
    }
  }
}

const daysOf = (create: string): number | undefined => {
  const days = /\bTTL .*toIntervalDay\((\d+)\)/.exec(create)?.[1];
  return days === undefined ? undefined : Number(days);
};
