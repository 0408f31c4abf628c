import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../core/testing/eventually.ts';
import { isolation, spawnService, stack, stopServices } from '../local/testing/stack.ts';
import { expectExactlyOnce } from '../verify/exactly-once.ts';
import { outcomeOf } from './testing/outcomes.ts';
import { SinkWorld } from './testing/world.ts';

const PARTITIONS = 6;
const STUCK = 4;
const names = isolation('sink stuck');
let world: SinkWorld;

beforeAll(async () => {
  const { kafkaBrokers, registryUrl, clickhouseUrl } = stack();
  const { TOPIC_PREFIX: prefix, CLICKHOUSE_DATABASE: database } = names;
  const addresses = { kafkaBrokers, registryUrl, clickhouseUrl };
  world = await SinkWorld.create({ ...addresses, prefix, database, partitions: PARTITIONS });
}, 60_000);

afterAll(async () => {
  await stopServices();
  await world.close();
});

describe('a sink of which four partitions are stuck', () => {
  it('goes on with the others, and with these once ClickHouse takes their blocks', async () => {
    const sink = await spawnService('sink', {
      ...names,
      TOPIC_PARTITIONS: String(PARTITIONS),
      SINK_CONCURRENT_BLOCKS: '4',
    });
    await sink.ready();
    await world.clickhouse.command(`ALTER TABLE messages ADD CONSTRAINT stuck CHECK origin_partition >= ${STUCK}`);
    const outcomes = Array.from({ length: PARTITIONS * 50 }, (_, n) =>
      outcomeOf({ partition: n % PARTITIONS, offset: Math.floor(n / PARTITIONS) }),
    );
    await world.produce(outcomes);
    await eventually(async () => {
      const text = await (await fetch(`${sink.adminUrl}/metrics`)).text();
      expect(Number(/parley_sink_retries_total\{[^}]*step="ingest"[^}]*\} (\d+)/.exec(text)?.[1])).toBeGreaterThan(
        STUCK,
      );
    });
    const free = outcomes.filter(({ source }) => source.partition >= STUCK).length;
    await eventually(async () => expect(await world.count('messages FINAL')).toBe(free));
    // It says so, and where: the first record of the block that does not go in.
    const why = /chat\.enriched\/[0-3] cannot go on: offset 0 failed \d+ times \(\w+\), and 3 more partitions$/;
    await eventually(async () => {
      expect(await (await fetch(`${sink.adminUrl}/readyz`)).json()).toMatchObject({
        ready: false,
        dependencies: { records: { state: 'down', error: expect.stringMatching(why) }, clickhouse: { state: 'up' } },
      });
    });
    const metrics = await (await fetch(`${sink.adminUrl}/metrics`)).text();
    expect([...metrics.matchAll(/parley_partition_stuck_offset\{[^}]*partition="[0-3]"[^}]*\} 0$/gm)]).toHaveLength(
      STUCK,
    );
    await world.clickhouse.command('ALTER TABLE messages DROP CONSTRAINT stuck');
    await world.caughtUp();
    await eventually(async () => expect((await fetch(`${sink.adminUrl}/readyz`)).status).toBe(200));
    await expectExactlyOnce(
      world.clickhouse,
      outcomes.map(({ message_id }) => message_id),
    );
    await sink.kill();
  }, 120_000);
});
