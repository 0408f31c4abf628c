import { kafkaConnection } from '../platform/kafka/connection.ts';
import { createKafka, type Kafka } from '../platform/kafka/kafkajs/kafka.ts';
import { ClusterView } from '../platform/kafka/read/cluster-view.ts';
import { createLogger } from '../platform/logger.ts';
import type { OperatorSettings } from './settings.ts';

/**
 * Runs `work` with a view of the cluster, which is closed afterwards, and the client it was made with.
 *
 * @throws {ParleyError} KAFKA_UNREACHABLE
 */
export async function withCluster<T>(
  settings: OperatorSettings,
  work: (view: ClusterView, kafka: Kafka) => Promise<T>,
): Promise<T> {
  // Silent: what the client has to say about a cluster that is away is said once, in the error.
  const log = createLogger('parley', 'silent');
  const kafka = createKafka({ ...kafkaConnection(settings), clientId: 'parley-operator', log });
  const view = await ClusterView.connect(kafka, settings.KAFKA_BROKERS);
  try {
    return await work(view, kafka);
  } finally {
    await view.close();
  }
}
