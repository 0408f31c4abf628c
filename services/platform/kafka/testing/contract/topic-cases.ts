import { describe, expect, it } from '@jest/globals';
import { eventually } from '../../../../core/testing/eventually.ts';
import { topicNames, topicSettings } from '../../topics.ts';
import type { ContractBench } from './bench.ts';

/** Topics: their settings, their partitions, and the ids by which one is told from an earlier one of its name. */
export function topicCases(bench: ContractBench): void {
  describe('topics', () => {
    it('have the settings of the design, and keep the partitions that they were given', async () => {
      const prefix = bench.freshPrefix();
      const options = { prefix, partitions: 3, replicationFactor: 1 };
      const { client, admin } = bench;
      // Several services start at once.
      await Promise.all([1, 2, 3].map(() => client.ensureTopics(options)));
      const names = topicNames(prefix);
      for (const [name, settings] of Object.entries(topicSettings(names))) {
        expect(await admin.settings(name)).toMatchObject(settings);
      }
      const empty = [0, 1, 2].map((partition) => ({ partition, start: 0, end: 0 }));
      await eventually(async () => expect(await client.logRanges(names.events)).toEqual(empty));
      await admin.grow(names.dlq, 5);
      // A service that starts while the topics are grown takes them as they are.
      await eventually(async () => expect((await client.ensureTopics(options)).get(names.dlq)).toBe(5));
    });

    it('are left to others where they are not to be created, and a compacted one ends the start', async () => {
      const prefix = bench.freshPrefix();
      // The brokers' own default of replicas.
      const options = { prefix, partitions: 1, replicationFactor: -1 };
      const missing = bench.client.ensureTopics({ ...options, create: false });
      await expect(missing).rejects.toMatchObject({
        code: 'TOPIC_MISSING',
        message: expect.stringContaining('chat.dlq'),
      });
      await bench.client.ensureTopics(options);
      await bench.admin.replaceSettings(topicNames(prefix).events, { 'cleanup.policy': 'compact' });
      await eventually(() =>
        expect(bench.client.ensureTopics(options)).rejects.toMatchObject({ code: 'TOPIC_SETTINGS' }),
      );
    });

    it('get a new id when deleted and made again', async () => {
      const topic = await bench.freshTopic();
      const { client, admin } = bench;
      const before = (await client.topicIds([topic, 'no-such-topic'])).get(topic);
      expect(before).toMatch(/^[\w-]{22}$/);
      await admin.deleteTopics([topic]);
      await eventually(() => admin.createTopics([{ topic, partitions: 1 }]));
      // A broker may still have the old one for a moment.
      await eventually(async () => {
        const after = (await client.topicIds([topic])).get(topic);
        expect(after).toMatch(/^[\w-]{22}$/);
        expect(after).not.toBe(before);
      });
    });
  });
}
