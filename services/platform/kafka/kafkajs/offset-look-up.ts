import { createRequire } from 'node:module';
import { messageOf } from '../../../core/errors.ts';
import { errorNameOf } from './error-type.ts';
import { forgetClosed, type InternalCluster } from './kafkajs-internals.ts';
import { requestMetadata } from './metadata-request.ts';

const require = createRequire(import.meta.url);
interface Answer {
  readonly responses: readonly {
    readonly partitions: readonly { partition: number; errorCode: number; offset: string }[];
  }[];
}
const { protocol } = require('kafkajs/src/protocol/requests/listOffsets') as {
  protocol: (wanted: {
    version: number;
  }) => (ask: {
    topics: readonly { topic: string; partitions: readonly { partition: number; timestamp: string }[] }[];
  }) => { readonly request: object; readonly response: { readonly decode: unknown } };
};
/** Every broker since 2.0 knows it. It reads up to the first transaction that is open. */
const LIST_OFFSETS_VERSION = 3;

/** What a topic's partitions answered, each for itself. */
export interface Offsets {
  readonly found: ReadonlyMap<number, number>;
  /** Why a partition has none: Kafka's name of the error, or what went wrong on the way. */
  readonly failed: ReadonlyMap<number, string>;
}

/** The first offset, the end, or the first offset of this time (milliseconds since the epoch) or later: -1 where there is none. */
export type Place = 'start' | 'end' | number;

const asking = new WeakMap<InternalCluster, Map<string, Promise<ReadonlyMap<number, number>>>>();

/**
 * The leader of each partition of a topic, -1 where there is none, as any broker has it now. Who asks at the same time, as
 * 96 partitions do that open together, shares one request.
 */
export function askLeaders(cluster: InternalCluster, topic: string): Promise<ReadonlyMap<number, number>> {
  const underWay = asking.get(cluster) ?? new Map<string, Promise<ReadonlyMap<number, number>>>();
  asking.set(cluster, underWay);
  const asked = underWay.get(topic) ?? requestLeaders(cluster, topic).finally(() => underWay.delete(topic));
  underWay.set(topic, asked);
  return asked;
}

async function requestLeaders(cluster: InternalCluster, topic: string): Promise<ReadonlyMap<number, number>> {
  await cluster.connect();
  const state = await requestMetadata(await cluster.brokerPool.findConnectedBroker(), [topic]);
  // The connections are kafkajs', which learns of nodes by metadata of its own.
  const known = new Set(cluster.getNodeIds().map(Number));
  if (state.nodes.some((node) => !known.has(node))) await cluster.refreshMetadata();
  const [found] = state.topics;
  if (found?.error !== 0) {
    const type = errorNameOf(found?.error ?? 3);
    throw Object.assign(new Error(`${topic} cannot be looked up: ${type}`), { type });
  }
  return new Map(
    found.partitions.map(({ partition, leader }) => [partition, state.nodes.includes(leader) ? leader : -1]),
  );
}

/** Asks each leader for its partitions; one that does not answer, or that refuses one of them, holds up no other. */
export async function lookUpOffsets(
  cluster: InternalCluster,
  topic: string,
  leaders: ReadonlyMap<number, number>,
  place: Place,
): Promise<Offsets> {
  const found = new Map<number, number>();
  const failed = new Map<number, string>();
  const ask = async (leader: number, partitions: readonly number[]) => {
    try {
      if (leader < 0) throw new Error('LEADER_NOT_AVAILABLE');
      const answer = await listOffsets(cluster, leader, topic, partitions, place);
      for (const { partition, errorCode, offset } of answer.responses.flatMap((each) => each.partitions)) {
        if (errorCode === 0) found.set(partition, Number(offset));
        else failed.set(partition, errorNameOf(errorCode));
      }
    } catch (error) {
      forgetClosed(cluster, error);
      for (const partition of partitions) failed.set(partition, messageOf(error));
    }
  };
  const byLeader = Map.groupBy(leaders, ([, leader]) => leader);
  await Promise.all(
    [...byLeader].map(([leader, led]) =>
      ask(
        leader,
        led.map(([partition]) => partition),
      ),
    ),
  );
  return { found, failed };
}

async function listOffsets(
  cluster: InternalCluster,
  leader: number,
  topic: string,
  partitions: readonly number[],
  place: Place,
): Promise<Answer> {
  const broker = await cluster.findBroker({ nodeId: String(leader) });
  const timestamp = String(place === 'start' ? -2 : place === 'end' ? -1 : place);
  const topics = [{ topic, partitions: partitions.map((partition) => ({ partition, timestamp })) }];
  const { request, response } = protocol({ version: LIST_OFFSETS_VERSION })({ topics });
  return (await broker.connectionPool.send({
    request,
    response: { decode: response.decode, parse: async (data: unknown) => data },
  })) as Answer;
}
