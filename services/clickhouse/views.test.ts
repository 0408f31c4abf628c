import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ClickHouse, createClickHouse } from '../platform/clickhouse/clickhouse.ts';
import { migrate } from '../platform/clickhouse/migrations.ts';
import { createLogger } from '../platform/logger.ts';
import {
  type EndpointProcess,
  removeFolder,
  startEndpointProcess,
  temporaryFolder,
} from './testing/endpoint-process.ts';

const log = createLogger('test', 'silent');
const folder = temporaryFolder();
let endpoint: EndpointProcess;
let client: ClickHouse;

interface Message {
  readonly at: string;
  readonly bot?: string;
  readonly conversation?: string;
  readonly outcome?: string;
  readonly sentiment?: number;
  readonly latencyMs?: number;
  readonly intent?: string;
  readonly language?: string;
}

/** As the sink inserts a first answer; times in UTC. */
async function store(messages: readonly Message[]): Promise<void> {
  const values = messages.map(
    (
      {
        at,
        bot = 'b',
        conversation = 'c',
        outcome = 'enriched',
        sentiment = 0,
        latencyMs = 100,
        intent = '',
        language = '',
      },
      n,
    ) =>
      `(1, 1, 'm${n}-${at}-${bot}', 't', '${bot}', '${conversation}', '${at}', '${at}', '${outcome}', ` +
      `'neutral', ${Math.round(sentiment * 10_000)}, ${latencyMs}, 1, 1, '${intent}', '${language}')`,
  );
  await client.command(
    `INSERT INTO ingest (to_messages, sign, message_id, tenant_id, bot_id, conversation_id, sent_at, enriched_at, outcome,
       sentiment_label, sentiment_e4, latency_ms, latency_counts, rollups, intent, language) VALUES ${values.join(', ')}`,
  );
}

beforeAll(async () => {
  endpoint = await startEndpointProcess(folder);
  client = createClickHouse({ url: endpoint.url, database: 'parley', log });
  await migrate(client, { log });
});

afterAll(async () => {
  await client.close();
  await endpoint.end('SIGKILL');
  removeFolder(folder);
});

describe('the views of sums', () => {
  it('add up over bots and hours to what the facts say, means and quantiles too', async () => {
    await store([
      { at: '2026-03-01 10:00:10', bot: 'a', sentiment: 1, latencyMs: 100 },
      { at: '2026-03-01 10:59:59', bot: 'a', sentiment: -0.5, latencyMs: 100 },
      { at: '2026-03-01 11:00:00', bot: 'b', sentiment: 0.1, latencyMs: 9_000 },
      { at: '2026-03-01 11:20:00', bot: 'b', outcome: 'dead_lettered', latencyMs: 9_000 },
    ]);
    const overAll = (view: string) =>
      client.query(`SELECT sum(messages) AS messages, round(sum(sentiment_sum) / sum(sentiment_count), 4) AS mood,
        sum(latency_count) AS answers, sumMap(latency_buckets) AS buckets FROM ${view} WHERE bot_id IN ('a', 'b')`);
    const bucket = (ms: number) => Math.floor(Math.log(ms + 1) / Math.log(1.05));
    const expected = [{ messages: 4, mood: 0.2, answers: 4, buckets: { [bucket(100)]: 2, [bucket(9_000)]: 2 } }];
    for (const grain of ['minute', 'quarter_hour', 'hour']) {
      expect(await overAll(`bot_${grain}_counts`)).toEqual(expected);
      expect(await overAll(`bot_${grain}`)).toEqual(expected);
    }
    // The mean of the bots' means would be 0.175.
    expect(
      await client.query("SELECT bot_id, sentiment_avg FROM bot_hour WHERE bot_id IN ('a', 'b') ORDER BY bot_id"),
    ).toEqual([
      { bot_id: 'a', sentiment_avg: 0.25 },
      { bot_id: 'b', sentiment_avg: 0.1 },
    ]);
  });

  it('read no conversation where none is asked for, and by tenant and time alone what is asked for', async () => {
    const plan = async (view: string) =>
      (
        await client.query<{ explain: string }>(`EXPLAIN indexes = 1 SELECT sum(messages) FROM ${view}
        WHERE tenant_id = 't' AND hour >= '2026-03-01 00:00:00'`)
      )
        .map(({ explain }) => explain)
        .join('\n');
    const counts = await plan('bot_hour_counts');
    expect(counts).not.toContain('conversations');
    expect(counts).toMatch(/rollup_sums[\s\S]*Keys:[\s\S]*tenant_id[\s\S]*at/);
    const whole = await plan('bot_hour');
    expect(whole).toMatch(/rollup_sums[\s\S]*Keys:[\s\S]*tenant_id[\s\S]*at/);
    expect(whole).toMatch(/rollup_conversations[\s\S]*Keys:[\s\S]*tenant_id[\s\S]*at/);
  });
});

describe('the views by intent and by language', () => {
  it('say what was worked out by hand, and add up to the rollup of the hour', async () => {
    const bot = 'intents';
    await store([
      { at: '2026-03-05 10:05:00', bot, intent: 'refund', language: 'en', sentiment: -0.8 },
      { at: '2026-03-05 10:59:00', bot, intent: 'refund', language: 'de', sentiment: -0.2 },
      { at: '2026-03-05 10:30:00', bot, intent: 'praise', language: 'en', sentiment: 1, outcome: 'degraded' },
      { at: '2026-03-05 10:31:00', bot, outcome: 'dead_lettered' },
      { at: '2026-03-05 11:00:00', bot, intent: 'refund', language: 'en', sentiment: 0.5 },
    ]);
    // A replay takes the dead-lettered one's place: it counts once, under its intent.
    await client.command(`INSERT INTO ingest (to_messages, sign, revision, message_id, tenant_id, bot_id, conversation_id, sent_at,
      enriched_at, outcome, rollups, sentiment_label, intent, language) VALUES (0, -1, 1, 'm3-2026-03-05 10:31:00-intents', 't', '${bot}', 'c',
      '2026-03-05 10:31:00', '2026-03-05 10:31:00', 'dead_lettered', 1, 'neutral', '', ''), (1, 1, 1, 'm3-2026-03-05 10:31:00-intents', 't',
      '${bot}', 'c', '2026-03-05 10:31:00', '2026-03-05 12:00:00', 'enriched', 1, 'neutral', 'refund', 'en')`);
    const by = (what: string) =>
      client.query(`SELECT toHour(hour) AS at, ${what}, messages, enriched, degraded, dead_lettered, round(sentiment_avg, 4) AS mood
        FROM bot_hour_${what}s WHERE bot_id = '${bot}' ORDER BY at, ${what}`);
    const none = { degraded: 0, dead_lettered: 0 };
    expect(await by('intent')).toEqual([
      { at: 10, intent: 'praise', messages: 1, enriched: 0, degraded: 1, dead_lettered: 0, mood: 1 },
      { at: 10, intent: 'refund', messages: 3, enriched: 3, ...none, mood: -0.3333 },
      { at: 11, intent: 'refund', messages: 1, enriched: 1, ...none, mood: 0.5 },
    ]);
    expect(await by('language')).toEqual([
      { at: 10, language: 'de', messages: 1, enriched: 1, ...none, mood: -0.2 },
      { at: 10, language: 'en', messages: 3, enriched: 2, degraded: 1, dead_lettered: 0, mood: 0.0667 },
      { at: 11, language: 'en', messages: 1, enriched: 1, ...none, mood: 0.5 },
    ]);
    const sums = (view: string) =>
      client.query(`SELECT hour, toInt64(sum(messages)) AS messages, toInt64(sum(enriched)) AS enriched, toInt64(sum(degraded)) AS degraded,
        toInt64(sum(dead_lettered)) AS dead, toInt64(sum(neutral)) AS neutral, toInt64(sum(toxic)) AS toxic, round(sum(sentiment_sum), 4) AS mood
        FROM ${view} WHERE tenant_id = 't' GROUP BY hour ORDER BY hour`);
    const rollup = await sums('bot_hour_counts');
    for (const view of ['bot_hour_intents', 'bot_hour_languages']) expect(await sums(view)).toEqual(rollup);
  });

  it('read the facts of the tenant and hours alone that are asked for', async () => {
    await client.command(`INSERT INTO messages (tenant_id, bot_id, message_id, sent_at) SELECT 'many', 'b' || toString(number % 5),
      toString(number), toDateTime64('2026-03-06 00:00:00', 3, 'UTC') + number FROM numbers(100000)`);
    const plan = await client.query<{
      explain: string;
    }>(`EXPLAIN indexes = 1 SELECT intent, sum(messages) FROM bot_hour_intents
      WHERE tenant_id = 'many' AND bot_id = 'b1' AND hour >= '2026-03-06 10:00:00' AND hour < '2026-03-06 12:00:00' GROUP BY intent`);
    const granules = plan
      .map(({ explain }) => /Granules: (\d+)\/(\d+)/.exec(explain)?.slice(1).map(Number))
      .filter((found) => found !== undefined);
    expect(Math.min(...granules.map(([read = 0]) => read))).toBeLessThanOrEqual(2);
    expect(Math.max(...granules.map(([, all = 0]) => all))).toBeGreaterThan(10);
  });
});

describe('hours and days of other time zones', () => {
  /** Messages by hour and by day of a zone's own clock, from a view and from the facts. */
  const byClock = (zone: string, bot: string) =>
    Promise.all(
      ['toStartOfHour', 'toDate'].map(async (start) => {
        const from = (what: string, table: string) =>
          client.query(`SELECT toString(${start}(${what}, '${zone}')) AS at, toInt64(${table === 'messages FINAL' ? 'count()' : 'sum(messages)'}) AS messages
            FROM ${table} WHERE bot_id = '${bot}' GROUP BY at ORDER BY at`);
        return { view: await from('quarter_hour', 'bot_quarter_hour'), facts: await from('sent_at', 'messages FINAL') };
      }),
    );

  it('Kolkata, half an hour off: the quarter-hour view serves it, the hour view cannot', async () => {
    // 18:20 UTC is 23:50 in Kolkata, 18:40 is ten past midnight of the next day.
    await store(['18:20:00', '18:40:00', '18:50:00'].map((time) => ({ at: `2026-03-02 ${time}`, bot: 'kolkata' })));
    const [hours, days] = await byClock('Asia/Kolkata', 'kolkata');
    expect(hours?.view).toEqual(hours?.facts);
    expect(days?.view).toEqual([
      { at: '2026-03-02', messages: 1 },
      { at: '2026-03-03', messages: 2 },
    ]);
    expect(days?.view).toEqual(days?.facts);
    const wrong = await client.query(
      "SELECT toString(toDate(hour, 'Asia/Kolkata')) AS at, sum(messages) AS messages FROM bot_hour WHERE bot_id = 'kolkata' GROUP BY at",
    );
    expect(wrong).toEqual([{ at: '2026-03-02', messages: 3 }]);
  });

  it('Berlin when summer time begins: the day has 23 hours, none of them is lost', async () => {
    const hoursOfDay = Array.from({ length: 24 }, (_, n) => n);
    // 2026-03-29 there is 23:00 UTC of the day before until 22:00 UTC.
    const times = hoursOfDay.map((n) =>
      new Date(Date.UTC(2026, 2, 28, 23 + n)).toISOString().slice(0, 19).replace('T', ' '),
    );
    await store(times.map((at) => ({ at, bot: 'berlin' })));
    const [hours, days] = await byClock('Europe/Berlin', 'berlin');
    expect(days?.view).toEqual([
      { at: '2026-03-29', messages: 23 },
      { at: '2026-03-30', messages: 1 },
    ]);
    expect(days?.view).toEqual(days?.facts);
    expect(hours?.view).toEqual(hours?.facts);
    expect(hours?.view).toHaveLength(24);
  });
});
