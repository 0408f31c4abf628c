import { createRequire } from 'node:module';
import { errorNameOf } from './error-type.ts';
import type { CommittedOffset } from './group-session.ts';
import type { InternalBroker } from './kafkajs-internals.ts';

const require = createRequire(import.meta.url);

type Protocol<Request, Response> = (wanted: { version: number }) => (request: Request) => {
  readonly request: object;
  readonly response: { readonly decode: (payload: Buffer) => Promise<Response> };
};

interface CommitRequest {
  readonly groupId: string;
  readonly memberId: string;
  readonly groupGenerationId: number;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { partition: number; offset: string; metadata: string }[];
  }[];
}

interface PartitionAnswer {
  readonly partition: number;
  readonly errorCode: number;
}

const { protocol: commitProtocol } = require('kafkajs/src/protocol/requests/offsetCommit') as {
  protocol: Protocol<
    CommitRequest,
    { responses: readonly { topic: string; partitions: readonly PartitionAnswer[] }[] }
  >;
};
const { protocol: fetchProtocol } = require('kafkajs/src/protocol/requests/offsetFetch') as {
  protocol: Protocol<
    { groupId: string; topics: readonly { topic: string; partitions: readonly { partition: number }[] }[] },
    {
      errorCode: number;
      responses: readonly {
        topic: string;
        partitions: readonly (PartitionAnswer & { offset: string; metadata: string | null })[];
      }[];
    }
  >;
};

/** Every broker since 2.1 knows them, as it has to for Produce 7. */
const COMMIT_VERSION = 5;
const FETCH_VERSION = 4;

export interface CommitAnswer {
  readonly topic: string;
  readonly partition: number;
  /** Kafka's name of the error; undefined where the offset is committed. */
  readonly error: string | undefined;
}

const nameOf = (code: number): string | undefined => (code === 0 ? undefined : errorNameOf(code));

/** Commits; each partition has its own answer, where kafkajs throws the first one's error for all. */
export async function requestCommit(broker: InternalBroker, commit: CommitRequest): Promise<CommitAnswer[]> {
  const { request, response } = commitProtocol({ version: COMMIT_VERSION })(commit);
  const { responses } = await send<Awaited<ReturnType<typeof response.decode>>>(broker, request, response);
  return responses.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, errorCode }) => ({ topic, partition, error: nameOf(errorCode) })),
  );
}

/** @throws {ProtocolError} for the group's error, or that of a partition. */
export async function requestCommitted(
  broker: InternalBroker,
  groupId: string,
  topic: string,
  partitions: readonly number[],
): Promise<CommittedOffset[]> {
  const topics = [{ topic, partitions: partitions.map((partition) => ({ partition })) }];
  const { request, response } = fetchProtocol({ version: FETCH_VERSION })({ groupId, topics });
  const answer = await send<Awaited<ReturnType<typeof response.decode>>>(broker, request, response);
  const found = answer.responses.flatMap((each) => each.partitions);
  const error = [answer.errorCode, ...found.map(({ errorCode }) => errorCode)].map(nameOf).find(Boolean);
  if (error) throw new ProtocolError(error, `the committed offsets of ${groupId} in ${topic} cannot be read: ${error}`);
  return found.map(({ partition, offset, metadata }) => ({
    topic,
    partition,
    offset: Number(offset) < 0 ? null : Number(offset),
    metadata: metadata ?? '',
  }));
}

/** An error that a broker answered with. */
class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  /** Kafka's name of it. */
  readonly type: string;

  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}

function send<Response>(broker: InternalBroker, request: object, { decode }: { decode: unknown }): Promise<Response> {
  return broker.connectionPool.send({
    request,
    response: { decode, parse: async (data: Response) => data },
  }) as Promise<Response>;
}
