import type { ClickHouse } from '../platform/clickhouse/clickhouse.ts';

/** Lets `message_keys` keep its rows for so many days; parts that are older then go whole, by and by. */
export async function keepMessageKeys(client: ClickHouse, days: number): Promise<void> {
  const [table] = await client.query<{ create: string }>(
    `SELECT create_table_query AS create FROM system.tables
     WHERE database = {database:String} AND name = 'message_keys'`,
    { params: { database: client.database } },
  );
  if (!table || table.create.includes(`toIntervalDay(${days})`)) return;
  await client.command(
    `ALTER TABLE message_keys MODIFY TTL toDateTime(enriched_at) + INTERVAL ${days} DAY
     SETTINGS materialize_ttl_after_modify = 0`,
  );
}
