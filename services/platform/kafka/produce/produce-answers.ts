/**
 * What becomes of a batch, by Kafka's answer for its partition:
 *
 * - `stored`: it is in the log, on all in-sync replicas;
 * - `moved`: not appended; another broker leads the partition, or this client's metadata is old: refresh, then again;
 * - `passing`: not appended; again after a pause;
 * - `unclear`: it may be in the log: again after a pause, as the same batch with the same sequence;
 * - `held`: not appended until an operator changes a right, a setting or a clock: again after a pause, and an error in the log;
 * - `too-large`, `refused`: the records themselves are at fault: smaller batches, until the one at fault stands alone;
 * - `identity`: not appended; the broker knows another state of this producer: the partition goes on with a new producer id.
 */
type AnswerVerdict = 'stored' | 'moved' | 'passing' | 'unclear' | 'held' | 'too-large' | 'refused' | 'identity';

export interface Answer {
  /** Kafka's name of the error; `NONE` where there is none. */
  readonly code: string;
  readonly verdict: AnswerVerdict;
}

/**
 * Every error code that a broker can answer a Produce request with. Source: `org.apache.kafka.common.protocol.Errors`
 * and what `ReplicaManager.appendRecords`, `UnifiedLog.append` and `ProducerStateManager` throw (Kafka 4.1).
 */
const ANSWERS: ReadonlyMap<number, readonly [code: string, verdict: AnswerVerdict]> = new Map([
  [-1, ['UNKNOWN_SERVER_ERROR', 'unclear']],
  [0, ['NONE', 'stored']],
  [2, ['CORRUPT_MESSAGE', 'passing']],
  [3, ['UNKNOWN_TOPIC_OR_PARTITION', 'moved']],
  [5, ['LEADER_NOT_AVAILABLE', 'moved']],
  [6, ['NOT_LEADER_OR_FOLLOWER', 'moved']],
  [7, ['REQUEST_TIMED_OUT', 'unclear']],
  [8, ['BROKER_NOT_AVAILABLE', 'moved']],
  [9, ['REPLICA_NOT_AVAILABLE', 'moved']],
  [10, ['MESSAGE_TOO_LARGE', 'too-large']],
  [13, ['NETWORK_EXCEPTION', 'unclear']],
  [17, ['INVALID_TOPIC_EXCEPTION', 'held']],
  [18, ['RECORD_LIST_TOO_LARGE', 'too-large']],
  [19, ['NOT_ENOUGH_REPLICAS', 'passing']],
  [20, ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'unclear']],
  [21, ['INVALID_REQUIRED_ACKS', 'held']],
  [29, ['TOPIC_AUTHORIZATION_FAILED', 'held']],
  [31, ['CLUSTER_AUTHORIZATION_FAILED', 'held']],
  // The time of a record is when it was produced: this machine's clock or the topic's bounds are wrong, not the record.
  [32, ['INVALID_TIMESTAMP', 'held']],
  [35, ['UNSUPPORTED_VERSION', 'held']],
  [42, ['INVALID_REQUEST', 'held']],
  [43, ['UNSUPPORTED_FOR_MESSAGE_FORMAT', 'held']],
  [44, ['POLICY_VIOLATION', 'held']],
  [45, ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'identity']],
  // The broker has a later batch of this producer already, hence this one too.
  [46, ['DUPLICATE_SEQUENCE_NUMBER', 'stored']],
  [47, ['INVALID_PRODUCER_EPOCH', 'identity']],
  [48, ['INVALID_TXN_STATE', 'identity']],
  [49, ['INVALID_PRODUCER_ID_MAPPING', 'identity']],
  [53, ['TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'held']],
  [54, ['SECURITY_DISABLED', 'held']],
  [56, ['KAFKA_STORAGE_ERROR', 'unclear']],
  [58, ['SASL_AUTHENTICATION_FAILED', 'held']],
  [59, ['UNKNOWN_PRODUCER_ID', 'identity']],
  [72, ['LISTENER_NOT_FOUND', 'moved']],
  [74, ['FENCED_LEADER_EPOCH', 'moved']],
  [75, ['UNKNOWN_LEADER_EPOCH', 'moved']],
  [76, ['UNSUPPORTED_COMPRESSION_TYPE', 'held']],
  [87, ['INVALID_RECORD', 'refused']],
  [89, ['THROTTLING_QUOTA_EXCEEDED', 'passing']],
  [90, ['PRODUCER_FENCED', 'identity']],
  [100, ['UNKNOWN_TOPIC_ID', 'moved']],
  [103, ['INCONSISTENT_TOPIC_ID', 'moved']],
]);

/** A code that is not in the table is one of a later Kafka: what it means for the log is unclear. */
export function answerOf(errorCode: number): Answer {
  const [code, verdict] = ANSWERS.get(errorCode) ?? [`ERROR_${errorCode}`, 'unclear'];
  return { code, verdict };
}

/** Answers that no broker gave. */
export const NO_LEADER: Answer = { code: 'LEADER_NOT_AVAILABLE', verdict: 'moved' };
export const NOT_SENT: Answer = { code: 'NETWORK_EXCEPTION', verdict: 'moved' };
export const NO_ANSWER: Answer = { code: 'NETWORK_EXCEPTION', verdict: 'unclear' };

/** Kafka will not take this record, whoever sends it and whenever; its neighbours went through. */
export class RecordRefusedError extends Error {
  override readonly name = 'RecordRefusedError';
  /** Kafka's name of the error, `MESSAGE_TOO_LARGE` say. */
  readonly code: string;
  /** Size of key, value and headers, about. */
  readonly bytes: number;

  constructor(code: string, topic: string, bytes: number) {
    super(`Kafka refused a record of about ${bytes} bytes for ${topic}: ${code}`);
    this.code = code;
    this.bytes = bytes;
  }
}
