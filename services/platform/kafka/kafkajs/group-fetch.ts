import { setTimeout as delay } from 'node:timers/promises';
import { errorNameOf } from './error-type.ts';
import { FetchOrder } from './fetch-order.ts';
import { fetchRaw } from './fetch-request.ts';
import type { FetchedSet, FetchPosition } from './fetched-set.ts';
import type { InternalCluster, InternalConsumerGroup } from './kafkajs-internals.ts';

/** What a member reads, and who takes it over. Called synchronously but for `outOfRange`; none may throw. */
export interface FetchPlan {
  readonly maxWaitMs: number;
  readonly minBytes?: number;
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
  /** Where this process runs, by the names of `broker.rack`: what has a replica there is read from it. */
  readonly rack?: string | undefined;
  /** Where to go on in each partition that is to be fetched now. */
  readonly positions: () => readonly FetchPosition[];
  /** What the broker has from the position on. */
  readonly fetched: (position: FetchPosition, set: FetchedSet) => void;
  /** The log does not hold the position; awaited before the next fetch. */
  readonly outOfRange: (position: FetchPosition) => Promise<void>;
  /** The partition has had no leader for {@link LEADERLESS_MS}; told at every fetch of any broker. */
  readonly leaderless: (position: FetchPosition) => void;
  /** The broker does not let this partition be read, by Kafka's name of the error; the others went on. */
  readonly refused: (position: FetchPosition, error: string) => void;
}

/** Elections are over by then. */
const LEADERLESS_MS = 5_000;
/** From one look for leaders to the next, at least. */
const LOOK_EVERY_MS = 250;

/** Another broker leads the partition, or will: the metadata are asked for, and the partition is fetched again. */
const MOVED = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'REPLICA_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_ID',
]);

/**
 * One fetch from one broker, in the place of kafkajs' own: record sets come undecoded, each partition is settled by its own
 * answer, and positions are those of the claims. In kafkajs a codec that is not known, a damaged batch or one partition's
 * error loses the whole answer, of every partition that the broker leads; and a batch of transaction markers alone moves
 * no position that we could see.
 */
export async function fetchFrom(group: InternalConsumerGroup, nodeId: string, plan: FetchPlan): Promise<void> {
  const { cluster } = group;
  try {
    await cluster.refreshMetadataIfNecessary();
    group.checkForStaleAssignment();
    const leaders = leadersOf(cluster);
    const led = leaders.readFrom(nodeId, plan.positions());
    for (const position of leaders.leaderless()) plan.leaderless(position);
    if (led.length === 0) {
      await delay(plan.maxWaitMs);
      return;
    }
    const broker = await cluster.findBroker({ nodeId });
    for (const set of await fetchRaw(broker, { ...plan, positions: led, committedOnly: true })) {
      const position = led.find(({ topic, partition }) => topic === set.topic && partition === set.partition);
      if (position) await settle({ nodeId, position, set, plan, leaders });
    }
  } catch (error) {
    leadersOf(cluster).unreachable(Number(nodeId));
    await group.recoverFromFetch(error);
  }
}

interface Answered {
  readonly nodeId: string;
  readonly position: FetchPosition;
  readonly set: FetchedSet;
  readonly plan: FetchPlan;
  readonly leaders: Leaders;
}

async function settle({ nodeId, position, set, plan, leaders }: Answered): Promise<void> {
  const { preferredReplica } = set;
  if (preferredReplica !== undefined && preferredReplica !== Number(nodeId)) {
    leaders.prefer(position, preferredReplica);
    return;
  }
  if (set.error === 0) {
    if (set.records.length > 0) leaders.brought(position);
    plan.fetched(position, set);
    return;
  }
  const error = errorNameOf(set.error);
  // A follower may be behind, or have lost its replica: the leader knows.
  if (leaders.forget(position)) return;
  if (error === 'OFFSET_OUT_OF_RANGE') await plan.outOfRange(position);
  else if (MOVED.has(error)) leaders.moved(position);
  else plan.refused(position, error);
}

const placeOf = ({ topic, partition }: FetchPosition) => `${topic}/${partition}`;

/** As long as Kafka's own client believes it (`metadata.max.age.ms`); then the leader is asked again. */
const PREFERRED_FOR_MS = 300_000;

/**
 * Who leads which partition, and which follower the leader has named as nearer. A partition that has moved is left out until
 * the metadata came anew; the others go on.
 */
class Leaders {
  readonly #cluster: InternalCluster;
  readonly #moved = new Set<string>();
  readonly #preferred = new Map<string, { readonly node: number; readonly untilMs: number }>();
  /** By place, since when, ms of `performance.now()`. */
  readonly #leaderless = new Map<string, { readonly position: FetchPosition; readonly sinceMs: number }>();
  readonly #order = new FetchOrder();
  #looking = false;

  constructor(cluster: InternalCluster) {
    this.#cluster = cluster;
  }

  moved(position: FetchPosition): void {
    this.#moved.add(placeOf(position));
    this.#look();
  }

  prefer(position: FetchPosition, node: number): void {
    this.#preferred.set(placeOf(position), { node, untilMs: performance.now() + PREFERRED_FOR_MS });
  }

  brought(position: FetchPosition): void {
    this.#order.brought(position);
  }

  /** @returns whether a follower was read from; from now on it is the leader. */
  forget(position: FetchPosition): boolean {
    return this.#preferred.delete(placeOf(position));
  }

  /** A follower that does not answer is not preferred to leaders that do. */
  unreachable(node: number): void {
    for (const [place, preferred] of this.#preferred) if (preferred.node === node) this.#preferred.delete(place);
  }

  readFrom(nodeId: string, positions: readonly FetchPosition[]): FetchPosition[] {
    const leaders = new Map<string, ReadonlyMap<number, number>>();
    for (const topic of new Set(positions.map((each) => each.topic))) {
      const known = this.#cluster.findTopicPartitionMetadata(topic);
      leaders.set(topic, new Map(known.map((each) => [each.partitionId, each.leader])));
    }
    const led: FetchPosition[] = [];
    for (const position of positions) {
      const leader = leaders.get(position.topic)?.get(position.partition) ?? -1;
      this.#note(position, leader);
      const node = this.#preferredOf(position) ?? leader;
      if (node === Number(nodeId) && !this.#moved.has(placeOf(position))) led.push(position);
    }
    return this.#order.sort(led);
  }

  /** Those partitions that have had no leader for long, as far as they were asked for. */
  leaderless(): FetchPosition[] {
    const untilMs = performance.now() - LEADERLESS_MS;
    return [...this.#leaderless.values()].filter(({ sinceMs }) => sinceMs <= untilMs).map(({ position }) => position);
  }

  #note(position: FetchPosition, leader: number): void {
    const place = placeOf(position);
    if (leader >= 0) this.#leaderless.delete(place);
    else {
      if (!this.#leaderless.has(place)) this.#leaderless.set(place, { position, sinceMs: performance.now() });
      this.#look();
    }
  }

  #preferredOf(position: FetchPosition): number | undefined {
    const preferred = this.#preferred.get(placeOf(position));
    if (!preferred) return undefined;
    const isThere = this.#cluster.getNodeIds().includes(String(preferred.node));
    if (isThere && performance.now() < preferred.untilMs) return preferred.node;
    this.#preferred.delete(placeOf(position));
    return undefined;
  }

  /** Beside the fetches, one look at a time; what fails is tried again at the next fetch. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    void delay(LOOK_EVERY_MS)
      .then(() => this.#cluster.refreshMetadata())
      .then(
        () => this.#moved.clear(),
        () => undefined,
      )
      .finally(() => {
        this.#looking = false;
        if (this.#moved.size > 0) this.#look();
      });
  }
}

const leaders = new WeakMap<InternalCluster, Leaders>();

function leadersOf(cluster: InternalCluster): Leaders {
  const known = leaders.get(cluster) ?? new Leaders(cluster);
  leaders.set(cluster, known);
  return known;
}
