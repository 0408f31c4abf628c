/**
 * The one catalogue of operator-facing error codes. `docs/errors.md` lists the same codes with the same texts; a test
 * keeps the two equal in both directions. Codes on the wire (nack, close, dead-letter reasons) are in `wire-codes.ts`.
 */
export const ERRORS = {
  CONFIG_INVALID: {
    text: 'An environment variable or option has a value that is not allowed.',
    remedy: 'Set it to one of the values that the message names, or unset it to get the default.',
  },
  TOPIC_MISMATCH: {
    text: 'chat.events, chat.dlq and chat.replay have different partition counts.',
    remedy:
      'Nothing is lost: the smallest count is used. Grow the other topics to the largest, in any order and while all runs (docs/adr/0017).',
  },
  TOPIC_SETTINGS: {
    text: 'A topic has a setting with which records would be lost: it is compacted.',
    remedy: 'Set cleanup.policy to delete for the topic that the message names, or choose another TOPIC_PREFIX.',
  },
  TOPIC_GREW: {
    text: 'chat.enriched has more partitions than before.',
    remedy: 'Nothing to do: the sink opens all partitions anew, by the new count (ADR 19).',
  },
  SCHEMA_INCOMPATIBLE: {
    text: 'The schema registry refused a schema as incompatible with an earlier version.',
    remedy: 'Only changes that keep FULL_TRANSITIVE compatibility can be deployed; add fields with defaults instead.',
  },
  KAFKA_UNREACHABLE: {
    text: 'No Kafka broker answered in time.',
    remedy: 'Check KAFKA_BROKERS and that the brokers run; the service retries until its start-up bound.',
  },
  KAFKA_TOO_OLD: {
    text: 'A Kafka broker does not speak the requests that Parley makes.',
    remedy: 'Upgrade the brokers: the message names the oldest release that will do.',
  },
  KAFKA_RIGHT_MISSING: {
    text: 'Kafka refused a request because this user lacks a right (an ACL).',
    remedy: 'Give the user the right that the message names; docs/operations.md lists what each service needs.',
  },
  REGISTRY_UNREACHABLE: {
    text: 'The schema registry did not answer in time.',
    remedy: 'Check SCHEMA_REGISTRY_URL and that the registry runs.',
  },
  REGISTRY_REFUSED: {
    text: 'The schema registry refused this client (401 or 403).',
    remedy:
      'Check SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD, or SCHEMA_REGISTRY_TOKEN; with SCHEMA_REGISTER=false no right to write is needed.',
  },
  SCHEMA_NOT_REGISTERED: {
    text: 'The registry does not hold a schema of this version, and SCHEMA_REGISTER=false forbids registering it.',
    remedy:
      'Register schemas/chat-event.avsc and schemas/chat-outcome.avsc under the subjects that the message names, with FULL_TRANSITIVE compatibility, or unset SCHEMA_REGISTER.',
  },
  CLICKHOUSE_UNREACHABLE: {
    text: 'ClickHouse did not answer in time.',
    remedy: 'Check CLICKHOUSE_URL and the credentials in it.',
  },
  CLICKHOUSE_SCHEMA: {
    text: 'A ClickHouse table lacks what exactly-once inserts need.',
    remedy: 'Run the migrations (the sink does at start) and keep the deduplication windows they set.',
  },
  CLICKHOUSE_DATA_IN_USE: {
    text: 'The embedded ClickHouse’s data folder is held by another process.',
    remedy: 'Stop the other endpoint (`npx parley status` names it), or set CLICKHOUSE_DATA_DIR to another folder.',
  },
  CLICKHOUSE_ENGINE: {
    text: 'The embedded ClickHouse engine could not open its data folder.',
    remedy: 'Check that the folder is writable and the disk has room; the message has the engine’s own words.',
  },
  PORT_IN_USE: {
    text: 'A port that a part must listen on is taken by another process.',
    remedy: 'Stop that process, or set the variable that the message names to a free port.',
  },
  PRODUCE_REFUSED: {
    text: 'Kafka takes no record of a partition: a right is missing, or a setting of the topic or a clock is wrong. The log names Kafka’s own error.',
    remedy:
      'TOPIC_AUTHORIZATION_FAILED: grant WRITE and DESCRIBE on the topic; INVALID_TIMESTAMP: mend this machine’s clock or the topic’s message.timestamp bounds. The records wait and are sent again by themselves, those of a gateway until KAFKA_ACK_TIMEOUT_MS.',
  },
  OFFSET_BEYOND_LOG_END: {
    text: 'A committed offset lies beyond the end of its partition: the log was truncated or is another cluster’s.',
    remedy: 'The partition is stopped on purpose. Check the cluster; then reset the group’s offset for it by hand.',
  },
  BATCH_UNREADABLE: {
    text: 'A batch of records in a topic cannot be read: its codec or format is unknown, its bytes are damaged, or it unpacks to more than 16 MiB.',
    remedy:
      'The service goes on behind it and counts its offsets as lost (outcome gap). Find the producer of these offsets; Parley reads none, gzip, snappy, lz4 and zstd in message format v2.',
  },
  COMMIT_REFUSED: {
    text: 'Kafka refuses the commits of a partition, finally (a missing right, metadata too large) or for more than a minute.',
    remedy:
      'The partition goes on and its commit is tried every 30 s: after a restart what is not committed is done again. Give the service’s user READ on the group and the topic, or mend the group coordinator.',
  },
  CONSUMER_REFUSED: {
    text: 'Kafka refuses to let a service read a topic or join its group.',
    remedy:
      'The service is not ready and tries on. Give its user READ and DESCRIBE on the topics and READ on the group that the message names (docs/operations.md).',
  },
  PARTITION_LEADERLESS: {
    text: 'A partition has had no leader for more than five seconds: no broker that is up has a replica of it.',
    remedy:
      'Bring its brokers back; it goes on by itself, and all other partitions went on meanwhile. What is sent to it waits within the bounds of its sender.',
  },
  CLUSTER_CHANGED: {
    text: 'Behind Kafka’s address is another cluster than before, or one without any of our topics: its disk was wiped, or the address moved.',
    remedy:
      'The service ends, and whoever runs it starts it again: it makes the topics and registers the schemas anew. Records that were not read before are gone with the old cluster.',
  },
  TOPIC_RECREATED: {
    text: 'A topic was deleted and made again while a service read it.',
    remedy:
      'The new one is read from its start. What of the old one had not been read is lost; npx parley verify counts the new one.',
  },
  CLICKHOUSE_BEHIND: {
    text: 'ClickHouse holds less than the sink has committed: it was wiped, or restored from a backup.',
    remedy:
      'The sink inserts again all that chat.enriched still holds. What is older than its retention (7 days) comes from a backup of ClickHouse alone.',
  },
  TOKEN_KEY_MISSING: {
    text: 'The embedded stack’s signing key is not there.',
    remedy: 'Run `npm start` once in this data folder, or give --key with a private key in PEM.',
  },
  PREREQUISITE_MISSING: {
    text: 'Something that must be installed on this machine (Java, Maven) is missing or too old.',
    remedy: 'Install what the message names, with the command it gives.',
  },
  DOWNLOAD_FAILED: {
    text: 'Maven could not download the embedded Kafka or schema registry.',
    remedy: 'Check the network and Maven’s settings, then run the command again: what is complete is kept.',
  },
  ALREADY_RUNNING: {
    text: 'Another `npm start` is using this data folder.',
    remedy: 'Stop that process, or give this one another folder with --data-dir.',
  },
  DISK_FULL: {
    text: 'Too little disk space is free for the data folder.',
    remedy: 'Free some space, or put the data folder elsewhere with --data-dir.',
  },
  SERVICE_CRASH_LOOP: {
    text: 'A part of the embedded stack ended again and again shortly after its start.',
    remedy: 'Read the part’s log file that the message names.',
  },
  NOT_READY: {
    text: 'A part did not become ready within its start-up bound.',
    remedy: 'Read the part’s log file; check the parts it depends on with `npx parley status`.',
  },
  TOPIC_MISSING: {
    text: 'A chat topic does not exist in this cluster.',
    remedy: 'Start the services once, they create the topics; or check KAFKA_BROKERS and TOPIC_PREFIX.',
  },
  GATEWAY_UNREACHABLE: {
    text: 'The gateway did not take a connection.',
    remedy: 'Start the stack with `npm start`, or check --url; a refused token means another signing key.',
  },
  NOTHING_RUNNING: {
    text: 'No service of this data folder is running.',
    remedy: 'Start the stack with `npm start`, or set PARLEY_DATA_DIR to the folder of the one that runs.',
  },
  INPUT_UNREADABLE: {
    text: 'A file given to a command cannot be read.',
    remedy: 'Check the path, and that it is plain, gzip, zstd or zip.',
  },
  INPUT_SHAPE_UNKNOWN: {
    text: 'A file of chats has a shape that is not recognised.',
    remedy:
      'Say with --as which shape it is, or with --map in which fields text, speaker and conversation_id are (docs/files.md).',
  },
  OUTPUT_UNWRITABLE: {
    text: 'A file that a command was to write cannot be written.',
    remedy: 'Check that the folder exists and that you may write there.',
  },
  NOT_LOOPBACK: {
    text: 'The load generator was pointed at another machine.',
    remedy: 'It drives only what runs on this machine (127.0.0.0/8, ::1, localhost): run it there.',
  },
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** An error that an operator sees: a code of the catalogue and one sentence saying what was wrong and what is allowed. */
export class ParleyError extends Error {
  override readonly name = 'ParleyError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

export const isParleyError = (error: unknown): error is ParleyError => error instanceof ParleyError;

/** The text of anything that was thrown, for logs and details. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
