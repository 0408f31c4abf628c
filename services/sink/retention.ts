import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';

/** Days that rows are kept; undefined: for ever. */
export interface Retention {
  readonly messageKeys: number;
  /** By `sent_at`. A table partition is a month of it, and goes whole once all of it is that old. */
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
  { table: 'messages', column: 'toDateTime(sent_at)', days: facts },
  { table: 'rollup_sums', column: 'at', days: minutes, where: "grain = 'minute'" },
  { table: 'rollup_conversations', column: 'at', days: minutes, where: "grain = 'minute'" },
];

/** Sets the TTL of each table where it is another one; nothing is rewritten for it, what is older goes by and by. */
export async function keepRetention(client: ClickHouse, retention: Retention): Promise<void> {
  const tables = await client.query<{ name: string; create: string }>(
    'SELECT name, create_table_query AS create FROM system.tables WHERE database = {database:String}',
    { params: { database: client.database } },
  );
  const creates = new Map(tables.map(({ name, create }) => [name, create]));
  for (const { table, column, days, where } of rulesOf(retention)) {
    const create = creates.get(table);
    if (create === undefined || daysOf(create) === days) continue;
    if (days === undefined) await client.command(`ALTER TABLE ${table} REMOVE TTL`);
    else {
      if (table === 'messages') await client.command(`ALTER TABLE ${table} MODIFY SETTING ttl_only_drop_parts = 1`);
      await client.command(
        `ALTER TABLE ${table} MODIFY TTL ${column} + INTERVAL ${days} DAY${where ? ` DELETE WHERE ${where}` : ''}
         SETTINGS materialize_ttl_after_modify = 0`,
      );
    }
  }
}

const daysOf = (create: string): number | undefined => {
  const days = /\bTTL .*toIntervalDay\((\d+)\)/.exec(create)?.[1];
  return days === undefined ? undefined : Number(days);
};
