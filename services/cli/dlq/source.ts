import { withCluster } from '../../operator/cluster.ts';
import type { OperatorSettings } from '../../operator/settings.ts';
import { ChatCodec } from '../../platform/avro/codec.ts';
import { registryAccess } from '../../platform/avro/registry-access.ts';
import type { Kafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { LogReader } from '../../platform/kafka/read/log-reader.ts';
import { topicNames } from '../../platform/kafka/topics.ts';
import type { DeadLetterSource } from '../../replay/dead-letters.ts';

/** @throws {ParleyError} REGISTRY_UNREACHABLE */
export const connectCodec = (settings: OperatorSettings): Promise<ChatCodec> =>
  ChatCodec.connect({ registry: registryAccess(settings), topicNames: topicNames(settings.TOPIC_PREFIX) });

/** Runs `work` on the dead letters of a cluster; `codec` null leaves their events undecoded. */
export function withDeadLetters<T, C extends ChatCodec | null>(
  settings: OperatorSettings,
  codec: C,
  work: (source: DeadLetterSource & { readonly codec: C }, kafka: Kafka) => Promise<T>,
): Promise<T> {
  return withCluster(settings, async (view, kafka) => {
    const reader = await LogReader.connect(kafka);
    try {
      return await work({ view, reader, codec, topic: topicNames(settings.TOPIC_PREFIX).dlq }, kafka);
    } finally {
      await reader.close();
    }
  });
}
