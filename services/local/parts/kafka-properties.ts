import { join } from 'node:path';

/** One node of KRaft that is broker and controller. */
export interface KafkaNode {
  readonly id: number;
  readonly name: string;
  readonly port: number;
  readonly dataDir: string;
  readonly secured?: SecuredListener;
}

/** A second listener, which asks clients who they are. */
export interface SecuredListener {
  readonly port: number;
  /** Lines of `server.properties`: keys, mechanisms, authorizer. */
  readonly properties: readonly string[];
  /** Options of `kafka-storage format`, such as `--add-scram`. */
  readonly formatOptions: readonly string[];
}

const RACK_AWARE = 'org.apache.kafka.common.replica.RackAwareReplicaSelector';
/** With fewer than three brokers, topics have one replica. */
const REPLICAS = 3;

/**
 * `server.properties` of a node.
 *
 * @param controllerPorts of all nodes of the cluster, by id from 1.
 */
export function kafkaProperties(node: KafkaNode, controllerPorts: readonly number[]): string {
  const replicas = controllerPorts.length >= REPLICAS ? REPLICAS : 1;
  const inSync = replicas > 1 ? 2 : 1;
  const { secured } = node;
  const clientListeners = [
    `PLAINTEXT://127.0.0.1:${node.port}`,
    ...(secured ? [`SASL_SSL://127.0.0.1:${secured.port}`] : []),
  ];
  const voters = controllerPorts.map((port, index) => `${index + 1}@127.0.0.1:${port}`);
  return [
    'process.roles=broker,controller',
    `node.id=${node.id}`,
    `controller.quorum.voters=${voters.join(',')}`,
    `listeners=${[...clientListeners, `CONTROLLER://127.0.0.1:${controllerPorts[node.id - 1]}`].join(',')}`,
    `advertised.listeners=${clientListeners.join(',')}`,
    ...(secured?.properties ?? []),
    'controller.listener.names=CONTROLLER',
    'inter.broker.listener.name=PLAINTEXT',
    `log.dirs=${join(node.dataDir, 'log')}`,
    'auto.create.topics.enable=false',
    // Other people's topics as well, such as the registry's.
    `default.replication.factor=${replicas}`,
    `min.insync.replicas=${inSync}`,
    `offsets.topic.replication.factor=${replicas}`,
    'offsets.topic.num.partitions=8',
    `transaction.state.log.replication.factor=${replicas}`,
    `transaction.state.log.min.isr=${inSync}`,
    'transaction.state.log.num.partitions=4',
    `share.coordinator.state.topic.replication.factor=${replicas}`,
    `share.coordinator.state.topic.min.isr=${inSync}`,
    // Each a rack of its own, and who says where it runs is told of the replica there (KIP-392).
    ...(replicas > 1 ? [`broker.rack=rack-${node.id}`, `replica.selector.class=${RACK_AWARE}`] : []),
    // A broker that is gone is noticed, and its partitions led by others, within 3 s; the defaults are 9 s and 2 s.
    ...(replicas > 1 ? ['broker.session.timeout.ms=3000', 'broker.heartbeat.interval.ms=500'] : []),
    // The maximum: offsets and their metadata must not expire while no consumer runs.
    'offsets.retention.minutes=2147483647',
    // One machine: there are no late joiners to wait for, and tests use short sessions.
    'group.initial.rebalance.delay.ms=0',
    'group.min.session.timeout.ms=1000',
    'num.network.threads=2',
    'num.io.threads=4',
    // The default, 128 MiB, is allocated at start; 16 MiB index 600,000 keys of compacted topics, far more than here.
    'log.cleaner.dedupe.buffer.size=16777216',
    '',
  ].join('\n');
}
