import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from '@jest/globals';
import { KafkaProxy } from '../../../testing/kafka-proxy.ts';
import type { Claim, PartitionHandler } from '../../consume/claim.ts';
import type { FetchedRecord } from '../../record.ts';
import type {
  ContractAdmin,
  ContractClient,
  ContractConsumer,
  ContractPage,
  ContractProducer,
  ContractProducerOptions,
  KafkaAdapter,
} from './adapter.ts';

export const PARTITIONS = 4;

export interface Seen {
  readonly consumer: ContractConsumer;
  /** The last claim of each partition. */
  readonly claims: ReadonlyMap<number, Claim>;
  readonly records: readonly (FetchedRecord & { readonly partition: number })[];
  /** In the order of the calls: a record's value, or what holds none up to the offset. */
  readonly steps: (partition: number) => readonly (string | { emptyTo: number } | { lostTo: number })[];
  readonly released: readonly number[];
}

type Take = (records: readonly FetchedRecord[], claim: Claim) => readonly FetchedRecord[];

/** A broker with a faulty link in front of it, and the client that has to keep the contract. */
export class ContractBench {
  readonly #adapter: KafkaAdapter;
  readonly #brokers: () => string;
  readonly #closing: (() => Promise<unknown>)[] = [];
  readonly #prefix = `contract_${randomBytes(4).toString('hex')}`;
  #topics = 0;
  #parts: { client: ContractClient; admin: ContractAdmin; proxy: KafkaProxy } | undefined;

  /** Opens before the first case, and closes after the last one. */
  constructor(adapter: KafkaAdapter, brokers: () => string) {
    this.#adapter = adapter;
    this.#brokers = brokers;
    beforeAll(() => this.#open());
    afterAll(() => this.#close());
  }

  get brokers(): string {
    return this.#brokers();
  }

  get client(): ContractClient {
    return this.#opened.client;
  }

  get admin(): ContractAdmin {
    return this.#opened.admin;
  }

  get proxy(): KafkaProxy {
    return this.#opened.proxy;
  }

  /** A prefix for Parley's own topics. */
  freshPrefix(): string {
    return `${this.#prefix}_${this.#topics++}.`;
  }

  async freshTopic(settings: Readonly<Record<string, string>> = {}, partitions = PARTITIONS): Promise<string> {
    const topic = `${this.freshPrefix()}topic`;
    await this.admin.createTopics([{ topic, partitions, settings }]);
    return topic;
  }

  /** A client that reaches the broker by the faulty link alone. */
  proxied(): ContractClient {
    return this.#adapter.open([this.proxy.address]);
  }

  async producer(options: ContractProducerOptions = {}, client = this.client): Promise<ContractProducer> {
    const producer = await client.producer(options);
    this.#closing.push(() => producer.close(1_000));
    return producer;
  }

  /** A consumer that notes what it is given and commits nothing by itself. */
  async consume(
    topic: string,
    {
      group = this.groupName(),
      client = this.client,
      take,
    }: { group?: string; client?: ContractClient; take?: Take } = {},
  ): Promise<Seen> {
    const claims = new Map<number, Claim>();
    const records: (FetchedRecord & { partition: number })[] = [];
    const steps = new Map<number, (string | { emptyTo: number } | { lostTo: number })[]>();
    const released: number[] = [];
    const consumer = await client.consumer({
      groupId: group,
      topic,
      settleMs: 50,
      assign: async (claim): Promise<PartitionHandler> => {
        const { partition } = claim;
        const own = steps.get(partition) ?? [];
        claims.set(partition, claim);
        steps.set(partition, own);
        return {
          startAt: claim.committed.offset ?? claim.logStart,
          take: (fetched) => {
            const taken = take ? take(fetched, claim) : fetched;
            records.push(...taken.map((record) => ({ ...record, partition })));
            own.push(...valuesOf(taken));
          },
          readTo: (next) => void own.push({ emptyTo: next }),
          cutTo: (next) => void own.push({ lostTo: next }),
          settle: async () => {},
          release: () => void released.push(partition),
        };
      },
    });
    this.#closing.push(() => consumer.close());
    return { consumer, claims, records, released, steps: (partition) => steps.get(partition) ?? [] };
  }

  groupName(): string {
    return `${this.#prefix}.${randomBytes(4).toString('hex')}`;
  }

  /** The values in the log of a topic, by partition and offset. */
  async stored(topic: string): Promise<string[]> {
    const found: string[] = [];
    for (const { partition, start, end } of await this.client.logRanges(topic)) {
      for (const { records } of await this.pages(topic, partition, start, end)) found.push(...valuesOf(records));
    }
    return found;
  }

  async pages(topic: string, partition: number, start: number, end: number): Promise<ContractPage[]> {
    const pages: ContractPage[] = [];
    for await (const page of this.client.pages(topic, partition, start, end)) pages.push(page);
    return pages;
  }

  get #opened() {
    if (!this.#parts) throw new Error('the bench is not open yet');
    return this.#parts;
  }

  async #open(): Promise<void> {
    const client = this.#adapter.open([this.#brokers()]);
    this.#parts = { client, admin: await client.admin(), proxy: await KafkaProxy.start(this.#brokers()) };
  }

  async #close(): Promise<void> {
    this.proxy.rule = () => 'pass';
    this.proxy.open();
    await Promise.allSettled(this.#closing.reverse().map((close) => close()));
    await this.admin.close();
    await this.proxy.stop();
  }
}

export const valuesOf = (records: readonly FetchedRecord[]): string[] => records.map(({ value }) => String(value));

export const recordOf = (topic: string, partition: number, value: string | Buffer, key: string | null = null) => ({
  topic,
  partition,
  key,
  value: Buffer.from(value),
});
