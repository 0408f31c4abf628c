import { Command } from 'commander';
import { type EpochMs, epochMs } from '../../services/core/brands.ts';
import { systemClock } from '../../services/core/clock.ts';
import { createClickHouse } from '../../services/platform/clickhouse/clickhouse.ts';
import { migrate } from '../../services/platform/clickhouse/migrations.ts';
import { createLogger } from '../../services/platform/logger.ts';
import { FactStore } from '../../services/sink/fact-store.ts';
import { benchStack } from '../kit/bench-stack.ts';
import { percentilesOf } from '../kit/percentiles.ts';
import { outcomeNumber, SOURCES } from '../store/outcomes.ts';

/** 83 messages a second, as 50 million in seven days are: more facts are a longer history, not a higher rate. */
const FACT_EVERY_MS = (7 * 86_400_000) / 50_000_000;
const CHUNK = 1_000_000;
const ASKED = 1_000;
const ROUNDS = 20;
const WINDOW_MS = 1_800_000;
const EVENTS_ID = outcomeNumber(0, 0).source.topic_id;
const LOG_ID = 'storeBenchEnriched0001';

const program = new Command('message-keys')
  .description(
    `What the sink's look-ups cost by the number of facts that are stored: the present rows of 1,000 messages, half of them
known, and what a sink asks when it opens twelve partitions. Generates the facts in ClickHouse (about 100 bytes each on
disk). Brings up ClickHouse of its own, or uses the stack that PARLEY_TEST_STACK names.`,
  )
  .option('--facts <list>', 'how many, one after another', '5000000,50000000')
  .parse();
const counts = program.opts<{ facts: string }>().facts.split(',').map(Number);

const log = createLogger('keys-bench', 'silent');
const stack = await benchStack(process.env['PARLEY_TEST_STACK'], (line) => process.stderr.write(`${line}\n`), true);
const database = `keys${Date.now().toString(36)}`;
const clickhouse = createClickHouse({ url: stack.clickhouseUrl, database, log, requestTimeoutMs: 600_000 });
const store = new FactStore(clickhouse, systemClock);

/** Facts `[from, to)`, as the sink leaves them; number `n` was stored `(last - n) * FACT_EVERY_MS` ago. */
async function generate(from: number, to: number, last: number, now: EpochMs): Promise<void> {
  const key = `'t' || toString(n % 5), '\\0', 'b' || toString(n % 50), '\\0', 'c-' || toString(intDiv(n, 10)), '\\0', 'm-' || toString(n)`;
  const at = `fromUnixTimestamp64Milli(toInt64(${now} - (${last} - n) * ${FACT_EVERY_MS}), 'UTC')`;
  const numbers = `(SELECT number AS n FROM numbers(${from}, ${to - from}))`;
  await clickhouse.command(
    `INSERT INTO message_keys (key_hash, partition, revision, outcome, sent_at, sent_at_original, sentiment_label,
       latency_counts, origin_topic_id, origin_partition, origin_offset, enriched_at, log_topic_id, log_offset)
     SELECT MD5(concat(${key})), n % ${SOURCES}, 0, 'enriched', ${at}, ${at}, 'neutral', 1, '${EVENTS_ID}',
       n % ${SOURCES}, intDiv(n, ${SOURCES}), ${at}, '${LOG_ID}', n FROM ${numbers}`,
  );
  await clickhouse.command(
    `INSERT INTO receipts (topic_id, topic, partition, offset, last_offset, outcome, message_id, key_crc, enriched_at,
       log_topic_id, log_partition, log_offset)
     SELECT '${EVENTS_ID}', 'chat.events', n % ${SOURCES}, intDiv(n, ${SOURCES}), intDiv(n, ${SOURCES}), 'enriched',
       'm-' || toString(n), CRC32(concat(${key})), ${at}, '${LOG_ID}', n % 2, intDiv(n, 2) FROM ${numbers}`,
  );
}

/** A day that is over becomes one part of keys within hours (migration 13): that has to be true of these facts at once. */
async function settle(): Promise<void> {
  const days = await clickhouse.query<{ day: string }>(
    `SELECT DISTINCT partition AS day FROM system.parts
     WHERE database = '${database}' AND table = 'message_keys' AND active AND partition < toString(toYYYYMMDD(now('UTC')))`,
  );
  for (const { day } of days) await clickhouse.command(`OPTIMIZE TABLE message_keys PARTITION ${day} FINAL`);
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await run();
  return performance.now() - startedMs;
}

/** Present rows of messages spread over the whole history, and of as many that were never stored. */
async function lookUp(facts: number, round: number): Promise<number> {
  const outcomes = Array.from({ length: ASKED }, (_, index) => {
    const n = index % 2 === 0 ? (index * 7_919 + round * 104_729) % facts : facts + index;
    const ids = { tenant_id: `t${n % 5}`, bot_id: `b${n % 50}`, conversation_id: `c-${Math.floor(n / 10)}` };
    return { ...outcomeNumber(n, Date.now()), ...ids, message_id: `m-${n}` };
  });
  const nowhere = { topicId: 'none', partition: 0, from: 0, to: 1 };
  let found = 0;
  const ms = await timed(async () => {
    found = (await store.presentRows(outcomes, nowhere)).length;
  });
  if (found !== ASKED / 2) throw new Error(`${found} of ${ASKED / 2} present rows were found`);
  return ms;
}

/** What a sink asks for two partitions of chat.enriched, with the twelve of chat.events that are at home in them. */
async function open(): Promise<void> {
  for (const partition of [0, 1]) {
    await store.lastBegun(LOG_ID, partition);
    await store.firstBegun(LOG_ID, partition);
  }
  for (let partition = 0; partition < SOURCES; partition++) {
    const source = { topicId: EVENTS_ID, partition };
    await store.lateKeys(source, WINDOW_MS);
    await store.recentReceipts(source, undefined);
  }
}

try {
  await migrate(clickhouse, { log });
  let stored = 0;
  const last = Math.max(...counts);
  // Newest last: what is there at first is the start of the history, as if the later facts had not come yet.
  for (const facts of counts) {
    for (; stored < facts; stored = Math.min(facts, stored + CHUNK)) {
      await generate(stored, Math.min(facts, stored + CHUNK), last, epochMs(Date.now()));
    }
    await settle();
    const lookUps: number[] = [];
    const openings: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      lookUps.push(await lookUp(facts, round));
      openings.push(await timed(open));
    }
    const [keys, opening] = [percentilesOf(lookUps), percentilesOf(openings)];
    const round = (ms: number) => Math.round(ms);
    const figures = {
      facts,
      keys_1000_ms: { p50: round(keys.p50), max: round(keys.max) },
      open_ms: { p50: round(opening.p50), max: round(opening.max) },
    };
    process.stdout.write(`${JSON.stringify(figures)}\n`);
  }
} finally {
  await clickhouse.command(`DROP DATABASE IF EXISTS ${database} SYNC`);
  await clickhouse.close();
  await stack.stop();
}
process.exit(0);
