import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { isolation, type ServiceHandle, spawnService, stack, stopServices } from '../../local/testing/stack.ts';
import { parleyAnswer, ScriptedNlp } from '../../platform/testing/scripted-nlp.ts';
import { ReflexWorld } from './testing/reflex-world.ts';

/**
 * Enrichers come and go under load, 1 to 4 to 2: nothing lost, nothing double, and of the paid calls only those are made
 * again that were in flight on a partition that moved.
 */
const PARTITIONS = 12;
const CONCURRENCY = 40;
/** Acked and not called for yet, at least, while instances come and go: all of them always have work. */
const BACKLOG = 600;
const BATCH = PARTITIONS * 20;
/** Beside a busy neighbour an instance that is gone is missed, and its partitions taken over, after minutes. */
const PATIENCE = { timeoutMs: 120_000 };
const names = isolation('rebalance');
const env: Record<string, string> = { ...names, TOPIC_PARTITIONS: String(PARTITIONS) };
let nlp: ScriptedNlp;
let world: ReflexWorld;
const enrichers = new Set<ServiceHandle>();

/** The partitions of chat.events that an instance holds, by what it reports of them. */
async function heldBy({ adminUrl }: ServiceHandle): Promise<number[]> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const held = text.matchAll(/^kafka_consumergroup_current_offset\{[^}]*topic="([^"]+)",partition="(\d+)"/gm);
  return [...held].flatMap(([, topic, partition]) => (topic === world.topics.events ? [Number(partition)] : []));
}

type Assignment = ReadonlyMap<number, ServiceHandle>;

/** Who holds what, once every partition has one holder and every instance holds some. */
const assignment = (): Promise<Assignment> =>
  eventually(async () => {
    const held = await Promise.all([...enrichers].map(async (each) => ({ each, partitions: await heldBy(each) })));
    const owners = held.flatMap(({ each, partitions }) => partitions.map((partition) => [partition, each] as const));
    expect(owners.map(([partition]) => partition).toSorted((a, b) => a - b)).toEqual([...Array(PARTITIONS).keys()]);
    expect(held.filter(({ partitions }) => partitions.length === 0)).toEqual([]);
    return new Map(owners);
  }, PATIENCE);

const partitionOfId = (id: string): number => world.partitionOf(Number(id.split('-').at(-1)));
const calledFor = (count: number) => eventually(() => expect(nlp.calls.size).toBeGreaterThanOrEqual(count), PATIENCE);

interface Step {
  readonly what: string;
  readonly moved: ReadonlySet<number>;
  readonly repeated: readonly string[];
  /** The most calls in flight while it happened. */
  readonly inFlight: number;
}

/** Load that goes on until it is stopped; the name makes its messages others than those of before. */
function underLoad(name: string) {
  let stopped = false;
  const running = (async () => {
    for (let batch = 0; !stopped; batch++) {
      // Their latency budget is over, so that no early answers are made of them.
      await world.send(`${name}${batch}`, BATCH, { deadline_at: Date.now() });
      await eventually(() => expect(stopped || world.acked.size - nlp.calls.size < BACKLOG).toBe(true), PATIENCE);
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await running;
    },
  };
}

async function startEnricher(): Promise<void> {
  const service = await spawnService('enricher', env);
  await service.ready();
  enrichers.add(service);
}

async function stopEnricher(): Promise<void> {
  const [first] = enrichers as Iterable<ServiceHandle> as [ServiceHandle];
  enrichers.delete(first);
  await first.kill();
}

/** One rebalance; until those who hold the partitions now have worked for a while. */
async function step(what: string, before: Assignment, change: () => Promise<void>): Promise<[Step, Assignment]> {
  const repeatedBefore = new Set(nlp.repeated);
  nlp.takePeak();
  await change();
  const after = await assignment();
  const inFlight = nlp.takePeak();
  await calledFor(nlp.calls.size + 300);
  const moved = new Set([...after].filter(([partition, owner]) => before.get(partition) !== owner).map(([p]) => p));
  return [{ what, moved, repeated: nlp.repeated.filter((id) => !repeatedBefore.has(id)), inFlight }, after];
}

beforeAll(async () => {
  nlp = await ScriptedNlp.start();
  // Some are slower than the second that a rejoin waits for work in flight: these have to be abandoned and repeated.
  nlp.answer = (request) =>
    delay(Number(request.json.id.split('-').at(-1)) % 13 === 0 ? 3_000 : 100, parleyAnswer(request));
  Object.assign(env, {
    NLP_URL: nlp.url,
    NLP_BATCH: 'off',
    NLP_CACHE_BYTES: '0',
    NLP_HEDGE_SHARE: '0',
    NLP_TIMEOUT_MS: '8000',
    NLP_HALF_OPEN_AFTER_MS: '9000',
    // A busy machine is late with its calls: they are waited for, not degraded.
    NLP_BREAKER_THRESHOLD: '0.99',
    ON_NLP_OUTAGE: 'wait',
    NLP_CONCURRENCY: String(CONCURRENCY),
    NLP_INITIAL_CONCURRENCY: String(CONCURRENCY),
  });
  world = await ReflexWorld.connect({ addresses: stack(), names, partitions: PARTITIONS });
  await (await spawnService('sink', env)).ready();
});

afterAll(async () => {
  await stopServices();
  await world.clickhouse.command(`DROP DATABASE IF EXISTS ${names.CLICKHOUSE_DATABASE}`);
  await world.close();
  await nlp.close();
});

describe('enrichers from 1 to 4 to 2 under load', () => {
  it('lose nothing, double nothing, and repeat no call but those in flight on partitions that moved', async () => {
    await startEnricher();
    const load = underLoad('coming and going ');
    await calledFor(300);
    let owners = await assignment();
    const steps: Step[] = [];
    for (const [what, change] of [
      ['1 to 2', startEnricher],
      ['2 to 3', startEnricher],
      ['3 to 4', startEnricher],
      ['4 to 3', stopEnricher],
      ['3 to 2', stopEnricher],
    ] as const) {
      const [done, after] = await step(what, owners, change);
      steps.push(done);
      owners = after;
    }
    await load.stop();
    const { topics } = await world.expectWhole();
    const sent = world.acked.size;
    expect(topics['chat.events']).toMatchObject({ events: sent, enriched: sent, duplicate_receipts: 0 });
    expect(nlp.calls.size).toBe(sent);

    for (const [index, { what, moved, repeated, inFlight }] of steps.entries()) {
      // A slow call that was abandoned in the step before may be made again only now.
      const before = steps[index - 1];
      const mayRepeat = new Set([...moved, ...(before?.moved ?? [])]);
      expect([what, repeated.filter((id) => !mayRepeat.has(partitionOfId(id)))]).toEqual([what, []]);
      const most = inFlight + (before ? Math.max(before.inFlight - before.repeated.length, 0) : 0);
      expect([what, Math.max(repeated.length, most)]).toEqual([what, most]);
    }
    const bound = steps.reduce((sum, { inFlight }) => sum + inFlight, 0);
    expect(nlp.requests.length - sent).toBeLessThanOrEqual(bound);
  }, 300_000);
});

describe('an enricher that stood still for longer than its session lasts', () => {
  it('joins once more, under its one consumer, while nothing is lost or double and kept partitions repeat no call', async () => {
    while (enrichers.size < 2) await startEnricher();
    const [frozen, other] = [...enrichers] as [ServiceHandle, ServiceHandle];
    const joins = async ({ adminUrl }: ServiceHandle, kept: boolean) => {
      const text = await (await fetch(`${adminUrl}/metrics`)).text();
      return Number(
        new RegExp(`^parley_group_joins_total\\{[^}]*kept="${kept}"[^}]*\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0,
      );
    };
    const load = underLoad('standing still ');
    const owners = [await assignment()];
    const [anew, kept, wrote] = [await joins(frozen, false), await joins(other, true), frozen.logs().length];
    const repeatedBefore = new Set(nlp.repeated);
    frozen.signal('SIGSTOP');
    enrichers.delete(frozen);
    owners.push(await assignment());
    await calledFor(nlp.calls.size + 100);
    frozen.signal('SIGCONT');
    enrichers.add(frozen);
    owners.push(await assignment());
    await frozen.ready();
    await calledFor(nlp.calls.size + 300);
    await load.stop();
    const { topics } = await world.expectWhole();
    const sent = world.acked.size;
    expect(topics['chat.events']).toMatchObject({ events: sent, enriched: sent, duplicate_receipts: 0 });
    expect([(await joins(frozen, false)) - anew, (await joins(other, true)) - kept]).toEqual([1, 2]);
    expect(frozen.logs().slice(wrote)).not.toContain('the consumer crashed');
    const throughout = (partition: number) => owners.every((at) => at.get(partition) === other);
    const repeated = nlp.repeated.filter((id) => !repeatedBefore.has(id));
    expect(repeated.filter((id) => throughout(partitionOfId(id)))).toEqual([]);
  }, 300_000);
});
