import { expect, it } from '@jest/globals';
import type { Producer, ProducerBatch, RecordMetadata } from 'kafkajs';
import { sendInFull } from './send-in-full.ts';

it('sends again what no partition answered for, and only that', async () => {
  const answers = [['events/0', 'letters/1'], ['events/1'], ['letters/0']];
  const sent: string[][] = [];
  /** A broker that was killed meanwhile: kafkajs takes a send for done though some partitions did not answer. */
  const sendBatch = async ({ topicMessages = [] }: ProducerBatch) => {
    sent.push(
      topicMessages.flatMap(({ topic, messages }) =>
        messages.map(({ partition, value }) => `${topic}/${partition} ${value}`),
      ),
    );
    return (answers.shift() ?? []).map((place) => {
      const [topicName, partition] = place.split('/') as [string, string];
      return { topicName, partition: Number(partition), errorCode: 0 } satisfies RecordMetadata;
    });
  };
  const messagesOf = (...values: [number, string][]) => values.map(([partition, value]) => ({ partition, value }));
  await sendInFull({ sendBatch } as Producer, [
    { topic: 'events', messages: messagesOf([0, 'a'], [1, 'b'], [0, 'c'], [1, 'd']) },
    { topic: 'letters', messages: messagesOf([0, 'e'], [1, 'f']) },
  ]);
  expect(sent).toEqual([
    ['events/0 a', 'events/1 b', 'events/0 c', 'events/1 d', 'letters/0 e', 'letters/1 f'],
    ['events/1 b', 'events/1 d', 'letters/0 e'],
    ['letters/0 e'],
  ]);
});
