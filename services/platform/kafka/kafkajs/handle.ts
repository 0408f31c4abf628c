declare const handle: unique symbol;

/**
 * A client of one cluster, to be handed to what produces, consumes and reads. Nothing can be called on it: whoever could
 * would be written for kafkajs. This folder opens it by `clientOf`.
 */
export interface Kafka {
  readonly [handle]: never;
}
