import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { isolation, stack } from '../local/testing/stack.ts';
import { type ClickHouse, createClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { migrate } from '../platform/clickhouse/migrations.ts';
import { testLog } from '../platform/testing/topic-log.ts';
import { rollupMismatches } from '../verify/queries/rollup-recount.ts';
import { keepRetention } from './retention.ts';

let client: ClickHouse;

beforeAll(async () => {
  const database = isolation('retention').CLICKHOUSE_DATABASE;
  client = createClickHouse({ url: stack().clickhouseUrl, database, log: testLog() });
  await migrate(client, { log: testLog() });
});

afterAll(async () => {
  await client.command(`DROP DATABASE IF EXISTS ${client.database}`);
  await client.close();
});

/** Messages of one bot, sent and taken in so many days ago. */
const store = (bot: string, days: number, takenDays = days) =>
  client.command(`INSERT INTO ingest (to_messages, sign, rollups, latency_counts, message_id, tenant_id, bot_id, conversation_id,
    sent_at, enriched_at, outcome) SELECT 1, 1, 1, 1, toString(number), 't', '${bot}', 'c', now64(3) - INTERVAL ${days} DAY,
    now64(3) - INTERVAL ${takenDays} DAY, 'enriched' FROM numbers(10)`);

const TABLES = ['messages', 'rollup_sums', 'rollup_conversations'];

const empty = async () => {
  for (const table of TABLES) await client.command(`TRUNCATE TABLE ${table}`);
};

const counts = async () => {
  for (const table of TABLES) await client.command(`OPTIMIZE TABLE ${table} FINAL`);
  const [row] = await client.query(`SELECT (SELECT groupUniqArray(bot_id) FROM messages FINAL) AS facts,
    (SELECT arraySort(groupUniqArray(bot_id)) FROM bot_minute) AS minutes, (SELECT arraySort(groupUniqArray(bot_id)) FROM bot_hour) AS hours`);
  return { ...(row as object), mismatches: (await rollupMismatches(client, client.database)).count };
};

const FOREVER = { messageKeys: 8, facts: undefined, minutes: undefined };

it('facts and minutes go when they are too old, hours stay, and what verify recounts is what is there', async () => {
  await keepRetention(client, FOREVER);
  await store('new', 3);
  await store('old', 200);
  const all = ['new', 'old'];
  expect(await counts()).toMatchObject({ minutes: all, hours: all, mismatches: 0 });
  await keepRetention(client, { ...FOREVER, facts: 150, minutes: 140 });
  await keepRetention(client, { ...FOREVER, facts: 150, minutes: 140 });
  expect(await counts()).toEqual({ facts: ['new'], minutes: ['new'], hours: all, mismatches: 0 });
  // A fault within what is kept is found as before.
  await client.command("DELETE FROM messages WHERE message_id = '3'");
  expect(await counts()).toMatchObject({ mismatches: 4 });
});

it('history that was brought in later is kept as long as what was sent on that day', async () => {
  await empty();
  await store('imported', 200, 1);
  await store('old', 200);
  await keepRetention(client, { ...FOREVER, facts: 150 });
  expect(await counts()).toMatchObject({ facts: ['imported'], mismatches: 0 });
  await keepRetention(client, FOREVER);
});

it('what a shorter time to live removed is not looked for after it is raised or given up', async () => {
  await empty();
  await store('new', 3);
  await store('older', 145);
  await store('old', 200);
  await counts();
  for (const [facts, minutes] of [
    [undefined, undefined],
    [400, undefined],
    [150, 140],
    [undefined, 131],
    [undefined, undefined],
  ] as const) {
    await keepRetention(client, { ...FOREVER, facts, minutes });
    expect(await counts()).toMatchObject({ hours: ['new', 'old', 'older'], mismatches: 0 });
  }
  // Only what a time to live could remove is exempt: the minutes of 'older' are gone for good, its hours are compared.
  await client.command("DELETE FROM messages WHERE bot_id = 'older' AND message_id = '3'");
  expect(await counts()).toMatchObject({ mismatches: 2 });
  const kept = await client.query(
    "SELECT name FROM system.tables WHERE database = currentDatabase() AND create_table_query LIKE '%TTL toDateTime(greatest(sent_at%'",
  );
  expect(kept).toEqual([]);
});
