import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../core/testing/eventually.ts';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { Metrics } from '../../metrics.ts';
import { testLog } from '../../testing/topic-log.ts';
import { clientOf } from '../kafkajs/client.ts';
import type { GroupSession } from '../kafkajs/group-session.ts';
import { createKafka, type Kafka } from '../kafkajs/kafka.ts';
import { ensureTopics, topicNames } from '../topics.ts';
import { GroupMember } from './group-member.ts';

const PARTITIONS = 6;
const { TOPIC_PREFIX } = isolation('member');
const topic = topicNames(TOPIC_PREFIX).events;
let kafka: Kafka;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  kafka = createKafka({ brokers: [stack().kafkaBrokers], clientId: 'member', log: testLog() });
  await ensureTopics(kafka, { prefix: TOPIC_PREFIX, partitions: PARTITIONS, replicationFactor: 1 });
});

afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

/** A membership that reads nothing, with every session and every kafkajs consumer that it has had. */
async function member(groupId: string) {
  const sessions: GroupSession[] = [];
  let consumers = 0;
  const client = clientOf(kafka);
  const counted: Kafka = Object.assign(Object.create(client), {
    consumer: (...options: Parameters<typeof client.consumer>) => {
      consumers++;
      return client.consumer(...options);
    },
  });
  const options = { sessionTimeoutMs: 6_000, settleMs: 0, log: testLog(), metrics: new Metrics('test') };
  const started = await GroupMember.start(
    { kafka: counted, groupId, topics: [topic], ...options },
    {
      owned: () => ({ generation: -1, owned: {} }),
      lost: () => {},
      beforeJoin: async () => {},
      joined: (session) => sessions.push(session),
      plan: {
        maxWaitMs: 100,
        maxBytes: 1,
        maxBytesPerPartition: 1,
        positions: () => [],
        fetched: () => {},
        outOfRange: async () => {},
        leaderless: () => {},
        refused: () => {},
      },
    },
  );
  closing.push(() => started.close());
  const partitions = () => (sessions.at(-1)?.assigned ?? []).flatMap((each) => each.partitions);
  return { member: started, sessions, consumers: () => consumers, partitions };
}

async function describeGroup(groupId: string) {
  const admin = clientOf(kafka).admin();
  await admin.connect();
  try {
    const [group] = (await admin.describeGroups([groupId])).groups;
    return { state: group?.state, protocol: group?.protocol, members: group?.members.length };
  } finally {
    await admin.disconnect();
  }
}

const ALL = [...Array(PARTITIONS).keys()];

describe('a member that has to be replaced', () => {
  it('gets one new consumer, however many of its partitions ask for one and while one is on its way', async () => {
    const group = `${TOPIC_PREFIX}replaced`;
    const { member: replaced, sessions, consumers, partitions } = await member(group);
    await eventually(() => expect(partitions()).toEqual(ALL));
    for (let n = 0; n < 5; n++) replaced.replace(`partition ${n} is fenced`);
    expect(() => replaced.assertMember()).toThrow('partition 4 is fenced');
    // The first of them has gone, and another partition asks.
    await eventually(async () => expect(await describeGroup(group)).toMatchObject({ state: 'Empty' }));
    if (sessions.length === 1) replaced.replace('partition 5 is fenced');
    await eventually(() => {
      expect(sessions).toHaveLength(2);
      replaced.assertMember();
    });
    expect(consumers()).toBe(2);
    expect(partitions()).toEqual(ALL);
    expect(await describeGroup(group)).toMatchObject({ state: 'Stable', members: 1 });
  });
});

describe('a group of mixed releases', () => {
  it('agrees on the protocol of the earlier one, and on the sticky one once the last of those has left', async () => {
    const group = `${TOPIC_PREFIX}mixed`;
    // Releases before the sticky assignor have kafkajs' own alone.
    const earlier = clientOf(kafka).consumer({ groupId: group, sessionTimeout: 6_000, heartbeatInterval: 300 });
    closing.push(() => earlier.disconnect());
    let assigned: readonly number[] = [];
    earlier.on(earlier.events.GROUP_JOIN, ({ payload }) => {
      assigned = payload.memberAssignment[topic] ?? [];
    });
    await earlier.connect();
    await earlier.subscribe({ topics: [topic], fromBeginning: true });
    await earlier.run({ autoCommit: false, eachBatch: async () => {} });
    await eventually(() => expect([...assigned].sort()).toEqual(ALL));
    const { partitions } = await member(group);
    await eventually(async () => {
      expect([...assigned, ...partitions()].sort()).toEqual(ALL);
      expect(partitions()).toHaveLength(PARTITIONS / 2);
      expect(await describeGroup(group)).toEqual({ state: 'Stable', protocol: 'RoundRobinAssigner', members: 2 });
    });
    await earlier.disconnect();
    await eventually(async () => {
      expect(partitions()).toEqual(ALL);
      expect(await describeGroup(group)).toEqual({ state: 'Stable', protocol: 'parley-sticky', members: 1 });
    });
  });
});
