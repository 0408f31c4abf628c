import { setTimeout as delay } from 'node:timers/promises';
import { Consumer } from '@platformatic/kafka';
import type { TopicId } from '../../services/core/brands.ts';
import { type Claim, ClaimLostError, type PartitionHandler } from '../../services/platform/kafka/consume/claim.ts';
import type { LogRange } from '../../services/platform/kafka/read/log-range.ts';
import type { ContractClient, ContractConsumer } from '../../services/platform/kafka/testing/contract/adapter.ts';
import type { Committed, Member, SpikeClient } from './adapter.ts';
import { optionsOf } from './client-options.ts';
import { type FetchedPartition, Fetcher } from './fetcher.ts';

type ConsumerOptions = Parameters<ContractClient['consumer']>[0];

interface Facts {
  readonly topicId: TopicId;
  readonly committed: Committed;
  readonly range: LogRange;
}

const MAX_WAIT_MS = 100;
const PAUSE_MS = 100;
const OUT_OF_RANGE = 1;

class SpikeClaim implements Claim {
  readonly topic: string;
  readonly partition: number;
  readonly #client: SpikeClient;
  member: Member | undefined;
  handler: PartitionHandler | undefined;
  facts: Facts | undefined;
  position = 0;
  paused = false;
  highWatermark = 0;

  constructor(client: SpikeClient, topic: string, partition: number, member: Member) {
    this.#client = client;
    this.topic = topic;
    this.partition = partition;
    this.member = member;
  }

  get active(): boolean {
    return this.member !== undefined;
  }
  get topicId(): TopicId {
    return (this.facts as Facts).topicId;
  }
  get committed(): Committed {
    return (this.facts as Facts).committed;
  }
  get logStart(): number {
    return (this.facts as Facts).range.start;
  }
  get logEnd(): number {
    return (this.facts as Facts).range.end;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  seek(offset: number): void {
    this.position = offset;
  }
  lose(): void {
    this.member = undefined;
    this.handler?.release();
  }

  async commit(snapshot: () => { offset: number; metadata: string }): Promise<void> {
    for (;;) {
      if (!this.member) throw new ClaimLostError(`${this.topic}/${this.partition} is not ours`);
      try {
        await this.#client.commitAs(this.member, this.topic, this.partition, snapshot());
        return;
      } catch (error) {
        if (error instanceof ClaimLostError) throw error;
        await delay(PAUSE_MS);
      }
    }
  }
}

/**
 * Claims over `Consumer.joinGroup` and `Consumer.fetch`. The class tells of a join by an event, which it does not await: nothing
 * can be settled before a rejoin, and fetches go on meanwhile.
 */
export class SpikeConsumer implements ContractConsumer {
  readonly #client: SpikeClient;
  readonly #options: ConsumerOptions;
  readonly #consumer: Consumer;
  readonly #fetcher: Fetcher;
  readonly #claims = new Map<number, SpikeClaim>();
  readonly #stopped = new Map<number, string>();
  #closing = false;
  #ended: Promise<void> = Promise.resolve();

  private constructor(client: SpikeClient, options: ConsumerOptions) {
    this.#client = client;
    this.#options = options;
    this.#consumer = new Consumer({
      ...optionsOf(client.brokers),
      groupId: options.groupId,
      autocommit: false,
      sessionTimeout: 10_000,
      heartbeatInterval: 500,
      rebalanceTimeout: 20_000,
      protocols: [{ name: 'cooperative-sticky', version: 3 }],
    });
    this.#fetcher = new Fetcher(client.brokers, this.#consumer);
    this.#consumer.on('consumer:group:join', () => this.#joined());
    this.#consumer.on('error' as 'client:close', () => void this.#rejoin());
  }

  static async start(client: SpikeClient, options: ConsumerOptions): Promise<SpikeConsumer> {
    const consumer = new SpikeConsumer(client, options);
    consumer.#consumer.topics.track(options.topic);
    await consumer.#consumer.joinGroup();
    consumer.#ended = consumer.#run();
    return consumer;
  }

  async check(): Promise<void> {
    const [first] = this.#stopped;
    if (first) throw new Error(`${this.#options.topic}/${first[0]} cannot go on: ${first[1]}`);
    if (!this.#consumer.isActive()) throw new Error(`not a member of ${this.#options.groupId}`);
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const claim of this.#claims.values()) claim.lose();
    this.#claims.clear();
    await this.#ended;
    await this.#consumer.close(true);
  }

  /** A join that failed ends the membership: the class does not try again by itself. */
  async #rejoin(): Promise<void> {
    await delay(PAUSE_MS);
    if (!this.#closing) await this.#consumer.joinGroup().catch(() => undefined);
  }

  #joined(): void {
    if (this.#closing) return;
    const { topic, groupId } = this.#options;
    const { memberId, generationId, assignments } = this.#consumer;
    const member = { groupId, memberId: memberId ?? '', generationId };
    const assigned = new Set((assignments ?? []).flatMap((each) => (each.topic === topic ? each.partitions : [])));
    for (const [partition, claim] of [...this.#claims]) {
      // The cooperative protocol lets a member keep what it has for as long as it stays the same member.
      if (assigned.has(partition) && claim.member?.memberId === memberId) claim.member = member;
      else {
        this.#claims.delete(partition);
        claim.lose();
      }
    }
    for (const partition of assigned) if (!this.#claims.has(partition)) void this.#open(partition, member);
  }

  async #open(partition: number, member: Member): Promise<void> {
    const { topic, groupId, assign } = this.#options;
    const claim = new SpikeClaim(this.#client, topic, partition, member);
    this.#claims.set(partition, claim);
    while (claim.active) {
      try {
        const committed = await this.#client.committed(groupId, topic, partition);
        const topicId = (await this.#client.topicIds([topic])).get(topic);
        const range = (await this.#client.logRanges(topic)).find((each) => each.partition === partition);
        if (!topicId || !range) throw new Error('not there yet');
        const isBeyond = (committed.offset ?? 0) > range.end;
        if (isBeyond) {
          this.#stopped.set(partition, `committed is ${committed.offset}, the log ends at ${range.end}`);
          return;
        }
        claim.facts = { topicId, committed, range };
        const handler = await assign(claim);
        if (!claim.active) handler.release();
        claim.position = handler.startAt;
        claim.highWatermark = range.end;
        claim.handler = handler;
        return;
      } catch {
        await delay(PAUSE_MS);
      }
    }
  }

  async #run(): Promise<void> {
    const { topic } = this.#options;
    let failed = false;
    while (!this.#closing) {
      const readable = [...this.#claims.values()].filter(({ active, handler, paused }) => active && handler && !paused);
      try {
        if (readable.length === 0) await delay(PAUSE_MS);
        else {
          const positions = new Map(readable.map(({ partition, position }) => [partition, position]));
          const found = await this.#fetcher.fetch(topic, positions, MAX_WAIT_MS, failed);
          for (const each of found) await this.#take(each, positions.get(each.partition) ?? 0);
        }
        failed = false;
      } catch {
        failed = true;
        await delay(PAUSE_MS);
      }
    }
  }

  async #take({ partition, error, records, next, highWatermark }: FetchedPartition, from: number): Promise<void> {
    const claim = this.#claims.get(partition);
    if (!claim?.handler || claim.position !== from || claim.paused) return;
    if (error === OUT_OF_RANGE) {
      const range = (await this.#client.logRanges(this.#options.topic)).find((each) => each.partition === partition);
      claim.position = range?.start ?? 0;
      claim.handler.cutTo?.(claim.position);
    }
    if (error !== 0) return;
    claim.highWatermark = highWatermark;
    claim.position = next;
    try {
      if (records.length > 0) claim.handler.take(records);
      const isBehind = (records.at(-1)?.offset ?? -1) + 1 < next;
      if (isBehind && claim.position === next) claim.handler.readTo?.(next);
    } catch {
      const { member } = claim;
      this.#claims.delete(partition);
      claim.lose();
      if (member) void this.#open(partition, member);
    }
  }
}
