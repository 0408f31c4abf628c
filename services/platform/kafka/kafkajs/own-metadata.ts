import { createRequire } from 'node:module';
import { BrokerClass, BrokerPoolClass, type ConnectingBroker, type MetadataResponse } from './kafkajs-internals.ts';

const require = createRequire(import.meta.url);
const { requests } = require('kafkajs/src/protocol/requests') as { requests: { readonly Metadata: object } };
const { createErrorFromCode } = require('kafkajs/src/protocol/error') as {
  createErrorFromCode: (code: number) => Error;
};

const METADATA_API_KEY = 3;
const UNKNOWN_TOPIC_OR_PARTITION = 3;
/** An empty list (none would mean all), and from version 4 on that no topic is to be created. */
const NO_TOPICS = Buffer.alloc(4);
const NOT_CREATED = Buffer.alloc(1);
const CREATES_FROM_VERSION = 4;

/**
 * What a client knows of a cluster is that of its own topics, each partition by its own answer. kafkajs asks for all topics
 * of the cluster where a client has named none yet, and throws a whole answer away for any partition's error: one partition
 * without a leader, another team's too, then stops all that begins with metadata: producer ids, look-ups of coordinators,
 * openings, joins. Here a partition without a leader has the leader -1.
 *
 * What admin clients ask beside that (`fetchTopicMetadata`, `listTopics`, `createTopics` with `waitForLeaders`) stays as
 * kafkajs has it; Parley's services call none of these.
 */
export function keepMetadataToOwnTopics(): void {
  const { refreshMetadata } = BrokerPoolClass.prototype;
  const { metadata } = BrokerClass.prototype;
  const own = new WeakSet<readonly string[]>();
  BrokerPoolClass.prototype.refreshMetadata = function (topics) {
    const asked = [...topics];
    own.add(asked);
    return refreshMetadata.call(this, asked);
  };
  BrokerClass.prototype.metadata = function (topics = []) {
    return own.has(topics) ? requestOwn(this, topics) : metadata.call(this, topics);
  };
}

async function requestOwn(broker: ConnectingBroker, topics: readonly string[]): Promise<MetadataResponse> {
  const { allowAutoTopicCreation } = broker;
  const protocol = broker.lookupRequest(METADATA_API_KEY, requests.Metadata);
  const { request, response } = protocol({ topics, allowAutoTopicCreation });
  const empty = request.apiVersion < CREATES_FROM_VERSION ? NO_TOPICS : Buffer.concat([NO_TOPICS, NOT_CREATED]);
  const asked = topics.length > 0 ? request : { ...request, encode: async () => ({ buf: empty, buffer: empty }) };
  try {
    return (await broker.connectionPool.send({
      request: asked,
      response: { decode: response.decode, parse: async (data: MetadataResponse) => checked(data) },
    })) as MetadataResponse;
  } catch (error) {
    if ((error as Error).name === 'KafkaJSConnectionClosedError') await broker.disconnect();
    throw error;
  }
}

/** A topic that is gone is one without partitions, unless it is all that was asked for. */
function checked(data: MetadataResponse): MetadataResponse {
  const errors = data.topicMetadata.map(({ topicErrorCode }) => topicErrorCode).filter((code) => code !== 0);
  const other = errors.find((code) => code !== UNKNOWN_TOPIC_OR_PARTITION);
  if (other !== undefined) throw createErrorFromCode(other);
  if (errors.length > 0 && errors.length === data.topicMetadata.length) {
    throw createErrorFromCode(UNKNOWN_TOPIC_OR_PARTITION);
  }
  return data;
}
