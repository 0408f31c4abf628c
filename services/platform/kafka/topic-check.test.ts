import { describe, expect, it } from '@jest/globals';
import { checkSettings } from './topic-check.ts';
import { topicNames, topicSettings } from './topics.ts';

const names = topicNames();
const wanted = topicSettings(names);

describe('checkSettings', () => {
  it('finds nothing wrong with the settings that Parley gives', () => {
    for (const [topic, settings] of Object.entries(wanted)) {
      const actual = new Map(Object.entries({ ...settings, 'min.insync.replicas': '2' }));
      expect(checkSettings(topic, settings, actual, 3)).toEqual({ errors: [], warnings: [] });
    }
  });

  it.each([
    ['cleanup.policy', 'compact,delete', 'errors', /only delete is allowed/],
    ['retention.ms', '3600000', 'warnings', /at least 604800000/],
    ['message.timestamp.type', 'LogAppendTime', 'warnings', /expects CreateTime/],
  ] as const)('names a %s of %s', (setting, value, kind, text) => {
    const settings = wanted[names.events] ?? {};
    const actual = new Map(Object.entries({ ...settings, [setting]: value }));
    const { [kind]: found } = checkSettings(names.events, settings, actual, 1);
    expect(found).toEqual([expect.stringMatching(text)]);
  });

  it('takes endless retention, and warns of a smaller record size and of too few or too many in-sync replicas', () => {
    const settings = wanted[names.dlq] ?? {};
    const actual = { ...settings, 'retention.ms': '-1', 'max.message.bytes': '8388608' };
    const warningsOf = (minInSync: string) =>
      checkSettings(names.dlq, settings, new Map(Object.entries({ ...actual, 'min.insync.replicas': minInSync })), 3)
        .warnings;
    expect(warningsOf('2')).toEqual([expect.stringMatching(/max.message.bytes is 8388608.*16777216.*stub/)]);
    expect(warningsOf('1')).toContainEqual(expect.stringMatching(/at least 2/));
    expect(warningsOf('3')).toContainEqual(expect.stringMatching(/less than 3/));
  });
});
