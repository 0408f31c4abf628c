import type { Message, Producer, RecordMetadata } from 'kafkajs';

export interface TopicMessages {
  readonly topic: string;
  readonly messages: (Message & { readonly partition: number })[];
}

/**
 * `sendBatch`, until every partition was answered for.
 *
 * kafkajs remembers which *brokers* have answered (`producer/sendMessages.js`): when one of several is killed, it sends
 * again, and by then the partitions that were led by it may be led by one that has answered before. That one is passed
 * over, the records go nowhere, and the send is said to have succeeded. What it returns names the partitions that did
 * get an answer. Of the others the sequence was rolled back, so that sending them again with the same producer is exact
 * even if they had been written.
 *
 * @throws whatever `sendBatch` does.
 */
export async function sendInFull(producer: Producer, batch: readonly TopicMessages[]): Promise<void> {
  for (let left = batch; left.length > 0; ) {
    const answers = await producer.sendBatch({ acks: -1, topicMessages: left as TopicMessages[] });
    left = unanswered(left, answers);
  }
}

function unanswered(batch: readonly TopicMessages[], answers: readonly RecordMetadata[]): TopicMessages[] {
  const answered = new Map<string, Set<number>>(batch.map(({ topic }) => [topic, new Set()]));
  for (const { topicName, partition } of answers) answered.get(topicName)?.add(partition);
  return batch
    .map(({ topic, messages }) => {
      const partitions = answered.get(topic);
      return { topic, messages: messages.filter(({ partition }) => !partitions?.has(partition)) };
    })
    .filter(({ messages }) => messages.length > 0);
}
