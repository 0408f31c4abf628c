import { expect, it } from '@jest/globals';
import type { InternalBroker } from './kafkajs-internals.ts';
import { requestMetadata } from './metadata-request.ts';

it('a broker that is too old is named with what it speaks and what is needed, and is not asked', async () => {
  const sent: object[] = [];
  const broker = {
    versions: { 3: { minVersion: 0, maxVersion: 9 } },
    connectionPool: { send: async (protocol: object) => sent.push(protocol) },
  } as unknown as InternalBroker;
  await expect(requestMetadata(broker, ['chat.events'])).rejects.toMatchObject({
    code: 'KAFKA_TOO_OLD',
    message: expect.stringMatching(/up to version 9, Parley needs 12: Kafka 3\.1 or newer/),
  });
  expect(sent).toEqual([]);
});
