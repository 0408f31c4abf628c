import { afterEach, describe, expect, it } from '@jest/globals';
import type { TopicId } from '../core/brands.ts';
import { conversationKey } from '../core/partitioner.ts';
import { eventually } from '../core/testing/eventually.ts';
import type { Claim, PartitionHandler } from '../platform/kafka/consume/claim.ts';
import type { FetchedRecord } from '../platform/kafka/record.ts';
import { Metrics } from '../platform/metrics.ts';
import { testLog } from '../platform/testing/topic-log.ts';
import type { Receiver } from './analyse/callbacks.ts';
import { MAX_IN_FLIGHT_BYTES, MAX_QUEUED } from './config.ts';
import { Enricher } from './enricher.ts';
import { enricherMetrics } from './metrics.ts';
import type { RecordProcessor } from './record-processor.ts';

const TOPIC_ID = 'dgoboNlSR7q7_iKvHit0vg' as TopicId;

/** A claim that says whether it is paused. */
function claimOf(topic: string, partition: number) {
  const state = { paused: false, active: true, handedBack: -1 };
  const claim = {
    topic,
    partition,
    topicId: TOPIC_ID,
    committed: { offset: 0, metadata: '' },
    logStart: 0,
    logEnd: 1_000_000,
    highWatermark: 1_000_000,
    get active() {
      return state.active;
    },
    pause: () => {
      state.paused = true;
    },
    resume: () => {
      state.paused = false;
    },
    seek: (offset: number) => {
      state.handedBack = offset;
    },
    commit: async (snapshot) => void snapshot(),
  } satisfies Claim;
  return { claim, state };
}

const record = (offset: number, tenant: string, size = 200): FetchedRecord => ({
  offset,
  timestamp: 1,
  key: Buffer.from(conversationKey(tenant, 'bot', 'c')),
  value: null,
  headers: {},
  size,
});

/** An enricher whose records a test lets finish, one by one or all. */
class World {
  room = 0;
  readonly started: { readonly lane: string; readonly partition: number; readonly tenant: string }[] = [];
  readonly enricher: Enricher;
  #finish: (() => void)[] = [];

  constructor({ maxInFlight = 100_000, maxReplayInFlight = 10 } = {}) {
    const process = (claim: Claim, { key }: FetchedRecord, receiver: Receiver<boolean>) => {
      const [tenant] = JSON.parse(String(key)) as [string];
      this.started.push({ lane: claim.topic, partition: claim.partition, tenant });
      this.#finish.push(() => receiver.received(true));
    };
    this.enricher = new Enricher({
      processor: { process } as unknown as RecordProcessor,
      maxInFlight,
      replayTopic: 'chat.replay',
      commitIntervalMs: 100,
      maxReplayInFlight,
      room: () => Math.max(this.room - this.enricher.inFlight, 0),
      metrics: enricherMetrics(new Metrics('test')),
      log: testLog(),
    });
  }

  async assign(topic: string, partition: number) {
    const { claim, state } = claimOf(topic, partition);
    const handler: PartitionHandler = await this.enricher.assign(claim);
    return { handler, state };
  }

  async open(room: number): Promise<void> {
    this.room = room;
    this.enricher.schedule();
    await new Promise(setImmediate);
  }

  finish(count = Number.POSITIVE_INFINITY): void {
    for (const finish of this.#finish.splice(0, count)) finish();
  }
}

let world: World;
afterEach(() => world.enricher.stop());

describe('the enricher’s bounds', () => {
  it.each([
    ['records', MAX_QUEUED.live.records, 200],
    ['bytes', MAX_QUEUED.live.bytes / (1 << 20), 1 << 20],
  ])(
    'pauses all live partitions when enough %s are queued, and goes on at half of that',
    async (_what, enough, size) => {
      world = new World();
      const first = await world.assign('chat.events', 0);
      const second = await world.assign('chat.events', 1);
      first.handler.take(Array.from({ length: enough - 1 }, (_, offset) => record(offset, 't', size)));
      expect([first.state.paused, second.state.paused]).toEqual([false, false]);
      second.handler.take([record(0, 't', size)]);
      expect([first.state.paused, second.state.paused]).toEqual([true, true]);
      // One that comes now, in a rebalance, is held back as well.
      expect((await world.assign('chat.events', 2)).state.paused).toBe(true);

      await world.open(enough / 2);
      expect(first.state.paused).toBe(true);
      await world.open(enough / 2 + 1);
      expect([first.state.paused, second.state.paused]).toEqual([false, false]);
      expect(world.enricher.queued).toBe(enough / 2 - 1);
    },
  );

  it('goes on fetching live records however much waits to be replayed, and the other way round', async () => {
    world = new World();
    const live = await world.assign('chat.events', 0);
    const replay = await world.assign('chat.replay', 0);
    replay.handler.take(Array.from({ length: MAX_QUEUED.replay.records }, (_, offset) => record(offset, 't')));
    expect([live.state.paused, replay.state.paused]).toEqual([false, true]);
    // In a rebalance, too.
    expect((await world.assign('chat.events', 1)).state.paused).toBe(false);
    expect((await world.assign('chat.replay', 1)).state.paused).toBe(true);
    world.enricher.stop();

    world = new World();
    const full = await world.assign('chat.events', 0);
    const idle = await world.assign('chat.replay', 0);
    full.handler.take(Array.from({ length: MAX_QUEUED.live.records }, (_, offset) => record(offset, 't')));
    expect([full.state.paused, idle.state.paused]).toEqual([true, false]);
  });

  it.each([
    ['records', 400],
    ['bytes', 64 << 10],
  ])(
    'holds for %s with 96 partitions of each topic on one instance, and every record has its turn',
    async (_what, size) => {
      world = new World();
      const PARTITIONS = 96;
      const RECORDS = 40;
      const assigned = await Promise.all(
        ['chat.events', 'chat.replay'].flatMap((topic) =>
          Array.from({ length: PARTITIONS }, (_, partition) => world.assign(topic, partition)),
        ),
      );
      const positions = assigned.map(() => 0);
      let most = { records: 0, bytes: 0 };
      while (world.started.length < assigned.length * RECORDS) {
        for (const [n, { handler, state }] of assigned.entries()) {
          const from = positions[n] as number;
          // One fetch was under way when the partition was paused.
          if (state.paused && from > 0) continue;
          state.handedBack = RECORDS;
          handler.take(Array.from({ length: RECORDS - from }, (_, each) => record(from + each, 't', size)));
          positions[n] = state.handedBack;
        }
        const { queued, queuedBytes } = world.enricher;
        most = { records: Math.max(most.records, queued), bytes: Math.max(most.bytes, queuedBytes) };
        await world.open(500);
        world.finish();
      }
      expect(most.records).toBeLessThanOrEqual(4_000);
      expect(most.bytes).toBeLessThanOrEqual(32 << 20);
      expect(new Set(world.started.map(({ lane, partition }) => `${lane}/${partition}`)).size).toBe(assigned.length);
      expect(world.started).toHaveLength(assigned.length * RECORDS);
    },
  );

  it('has no more records and bytes in flight than allowed', async () => {
    world = new World({ maxInFlight: 30 });
    const { handler } = await world.assign('chat.events', 0);
    handler.take(Array.from({ length: 100 }, (_, offset) => record(offset, 't')));
    await world.open(1_000);
    expect(world.enricher.inFlight).toBe(30);
    world.enricher.stop();

    world = new World();
    const large = await world.assign('chat.events', 0);
    for (let first = 0; first < 100; first += 20) {
      large.handler.take(Array.from({ length: 20 }, (_, n) => record(first + n, 't', 1 << 20)));
      await world.open(1_000);
    }
    expect(world.enricher.inFlight).toBe(MAX_IN_FLIGHT_BYTES / (1 << 20));
  });

  it('starts nothing between the settling of a partition and the end of the rejoin', async () => {
    world = new World();
    const kept = await world.assign('chat.events', 0);
    const lost = await world.assign('chat.events', 1);
    for (const { handler } of [kept, lost]) await handler.settle(1_000);
    kept.handler.take([record(0, 't')]);
    await world.open(100);
    expect(world.started).toEqual([]);
    kept.handler.kept?.();
    await world.open(100);
    expect(world.started).toEqual([]);
    lost.state.active = false;
    lost.handler.release();
    await world.open(100);
    expect(world.started).toHaveLength(1);
  });

  it('gives back what a partition had queued when it is lost', async () => {
    world = new World();
    const { handler, state } = await world.assign('chat.events', 0);
    handler.take(Array.from({ length: 50 }, (_, offset) => record(offset, 't')));
    state.active = false;
    handler.release();
    expect([world.enricher.queued, world.enricher.queuedBytes]).toEqual([0, 0]);
    await world.open(100);
    expect(world.started).toEqual([]);
  });
});

describe('the enricher’s turns', () => {
  it('go round the tenants, whatever one of them has queued, and live comes before replay', async () => {
    world = new World();
    const live = await world.assign('chat.events', 0);
    const replay = await world.assign('chat.replay', 0);
    replay.handler.take([record(0, 'again')]);
    live.handler.take(Array.from({ length: 20 }, (_, offset) => record(offset, 'noisy')));
    live.handler.take([record(20, 'quiet'), record(21, 'calm')]);
    await world.open(4);
    expect(world.started.map(({ tenant }) => tenant)).toEqual(['noisy', 'quiet', 'calm', 'noisy']);
    world.finish();
    await eventually(() => expect(world.started.map(({ tenant }) => tenant).slice(4)).toEqual(Array(4).fill('noisy')));
    await world.open(100);
    expect(world.started.at(-1)).toEqual({ lane: 'chat.replay', partition: 0, tenant: 'again' });
  });

  it('leave replay its share and no more', async () => {
    world = new World({ maxReplayInFlight: 3 });
    const { handler } = await world.assign('chat.replay', 0);
    handler.take(Array.from({ length: 20 }, (_, offset) => record(offset, 't')));
    await world.open(100);
    expect(world.enricher.inFlight).toBe(3);
    world.finish(1);
    await eventually(() => expect(world.started).toHaveLength(4));
  });
});
