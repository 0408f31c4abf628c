import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../core/testing/eventually.ts';
import { isolation, stack } from '../../../local/testing/stack.ts';
import { Metrics } from '../../metrics.ts';
import { KafkaProxy, OFFSET_COMMIT_API_KEY } from '../../testing/kafka-proxy.ts';
import { testLog } from '../../testing/topic-log.ts';
import { clientOf } from '../kafkajs/client.ts';
import type { GroupSession } from '../kafkajs/group-session.ts';
import { createKafka, type Kafka } from '../kafkajs/kafka.ts';
import { ensureTopics, topicNames } from '../topics.ts';
import type { Claim } from './claim.ts';
import { GroupConsumer } from './group-consumer.ts';
import { OffsetCommitter } from './offset-committer.ts';

const PARTITIONS = 3;
/** As an operator's command commits: of no member. */
const NO_MEMBER: GroupSession = { memberId: '', generationId: -1, assigned: [] };
/** The broker takes 4,096 bytes: OFFSET_METADATA_TOO_LARGE, for that partition alone. */
const TOO_LARGE = 'x'.repeat(4_097);

let kafka: Kafka;
let proxy: KafkaProxy;
let commits = 0;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  proxy = await KafkaProxy.start(stack().kafkaBrokers);
  proxy.rule = ({ apiKey }) => {
    if (apiKey === OFFSET_COMMIT_API_KEY) commits++;
    return 'pass';
  };
  kafka = createKafka({ brokers: [proxy.address], clientId: 'commits', log: testLog() });
});

afterAll(async () => {
  for (const close of closing.reverse()) await close();
  await proxy.stop();
});

async function freshTopic(): Promise<string> {
  const { TOPIC_PREFIX } = isolation('commits');
  await ensureTopics(kafka, { prefix: TOPIC_PREFIX, partitions: PARTITIONS, replicationFactor: 1 });
  return topicNames(TOPIC_PREFIX).events;
}

async function grow(topic: string): Promise<void> {
  const admin = clientOf(kafka).admin();
  await admin.connect();
  await admin.createPartitions({ topicPartitions: [{ topic, count: PARTITIONS + 1 }] });
  await admin.disconnect();
}

type Report = readonly [partition: number, error: string | undefined];

async function committerOf(topic: string): Promise<{ committer: OffsetCommitter; reports: Report[] }> {
  const reports: Report[] = [];
  const committer = await OffsetCommitter.connect({
    kafka,
    groupId: `${topic}.commits`,
    reportAfterMs: 0,
    onRefused: (_topic, partition, error) => reports.push([partition, error]),
  });
  closing.push(() => committer.close());
  return { committer, reports };
}

describe('a commit that Kafka refuses for one partition', () => {
  it('is made again with longer and longer pauses and reported by its error, while the others of its request are made', async () => {
    const topic = await freshTopic();
    const { committer, reports } = await committerOf(topic);
    const commit = (partition: number, offset = 7) =>
      committer.commit({ topic, partition, session: () => NO_MEMBER, snapshot: () => ({ offset, metadata: '' }) });
    // There is no such partition yet.
    const settled = { refused: false };
    const refused = commit(PARTITIONS).then(() => {
      settled.refused = true;
    });
    const before = commits;
    await Promise.all([0, 1, 2].map((partition) => commit(partition)));
    expect(commits).toBe(before + 1);
    const errorsOf = () => reports.filter(([partition, error]) => partition === PARTITIONS && error).length;
    await eventually(() => expect(errorsOf()).toBeGreaterThanOrEqual(3));
    // Beside a partition that waits, the others commit at once, in requests that do not bear it.
    const [tries, requests] = [errorsOf(), commits];
    for (let n = 8; n < 28; n++) await commit(0, n);
    expect(commits - requests).toBeGreaterThanOrEqual(20);
    expect(errorsOf() - tries).toBeLessThan(5);
    expect(settled.refused).toBe(false);
    expect(new Set(reports.filter(([partition]) => partition === PARTITIONS).map(([, error]) => error))).toEqual(
      new Set(['UNKNOWN_TOPIC_OR_PARTITION']),
    );
    await grow(topic);
    await refused;
    expect(reports.at(-1)).toEqual([PARTITIONS, undefined]);
    expect(await committer.fetch(topic, [0, 1, 2, PARTITIONS])).toMatchObject(
      [27, 7, 7, 7].map((offset) => ({ offset })),
    );
  });

  it('is not reported once its claim is lost: it would keep the instance from being ready for good', async () => {
    const topic = await freshTopic();
    const { committer, reports } = await committerOf(topic);
    let session: GroupSession | undefined = NO_MEMBER;
    const lost = committer.commit({
      topic,
      partition: PARTITIONS,
      session: () => session,
      snapshot: () => {
        // The request is on its way.
        session = undefined;
        return { offset: 1, metadata: '' };
      },
    });
    await expect(lost).rejects.toThrow('is not ours');
    expect(reports).toEqual([]);
  });
});

describe('a member whose commit is refused', () => {
  it('is not ready, says which partition and why, shows it as a metric, and goes on when the commit is taken', async () => {
    const topic = await freshTopic();
    const [metrics, lines] = [new Metrics('test'), [] as object[]];
    const claims = new Map<number, Claim>();
    const log = testLog();
    log.error = ((fields: object) => lines.push(fields)) as never;
    const consumer = await GroupConsumer.start({
      kafka,
      groupId: `${topic}.member`,
      topics: [topic],
      log,
      metrics,
      assign: async (claim) => {
        claims.set(claim.partition, claim);
        return { startAt: 0, take: () => {}, settle: async () => {}, release: () => {} };
      },
    });
    closing.push(() => consumer.close());
    const series = async () =>
      (await metrics.registry.getSingleMetric('parley_commit_refused')?.get())?.values
        .map(({ labels, value }) => [labels['partition'], value])
        .sort();
    const check = () => consumer.check(AbortSignal.timeout(1_000));
    await eventually(() => expect(claims.size).toBe(PARTITIONS));
    // A series from the start on: an alert sees it begin.
    await eventually(async () => expect(await series()).toEqual([0, 1, 2].map((each) => [String(each), 0])));
    const commit = (partition: number, metadata = '') => claims.get(partition)?.commit(() => ({ offset: 0, metadata }));
    void commit(0, TOO_LARGE)?.catch(() => undefined);
    await Promise.all([commit(1), commit(2)]);
    await eventually(() => expect(check()).rejects.toThrow('COMMIT_REFUSED, OFFSET_METADATA_TOO_LARGE'));
    await expect(check()).rejects.toThrow(`${topic}/0 cannot go on`);
    expect(await series()).toEqual([
      ['0', 1],
      ['1', 0],
      ['2', 0],
    ]);
    expect(lines).toMatchObject([{ code: 'COMMIT_REFUSED', partition: 0 }]);
    await commit(0);
    await expect(check()).resolves.toEqual({});
    expect(await series()).toEqual([0, 1, 2].map((each) => [String(each), 0]));
  });
});
