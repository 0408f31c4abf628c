import type { Command } from 'commander';
import { withCluster } from '../../operator/cluster.ts';
import { readSettings } from '../../operator/settings.ts';
import { formatTable } from '../../operator/text-table.ts';
import type { ClusterView, TopicDescription, TopicSettings } from '../../platform/kafka/read/cluster-view.ts';
import { topicNames, topicSettings } from '../../platform/kafka/topics.ts';
import { type CommandDeps, type CommandResult, newCommand, withAction } from '../command.ts';
import { consumptions, lagOf, totalLag } from '../lag.ts';

/** A setting whose value is not the one that Parley gives its topics (services/platform/kafka/topics.ts). */
interface SettingDifference {
  readonly name: string;
  readonly value: string | null;
  readonly wanted: string;
}

interface TopicReport {
  readonly topic: string;
  readonly topic_id: string | null;
  readonly partitions: number;
  readonly replication: number;
  readonly records: number;
  readonly log: TopicDescription['partitions'];
  readonly lag: readonly { readonly group: string; readonly lag: number }[];
  readonly settings_differing: readonly SettingDifference[];
}

function differences(wanted: TopicSettings, found: TopicSettings): SettingDifference[] {
  return Object.entries(wanted)
    .filter(([name, value]) => found[name] !== value)
    .map(([name, value]) => ({ name, value: found[name] ?? null, wanted: value }));
}

export const topicsCommand = (deps: CommandDeps): Command =>
  withAction(
    newCommand('topics', 'The four chat topics: ids, partitions, offsets, lag, and settings that differ. Read-only.'),
    deps,
    async (_options, { env }) => {
      const settings = readSettings(env);
      const topics = await withCluster(settings, (view) => describe(view, settings.TOPIC_PREFIX));
      return resultOf(topics);
    },
  );

async function describe(view: ClusterView, prefix: string): Promise<TopicReport[]> {
  const wanted = topicSettings(topicNames(prefix));
  const described = await view.describeTopics(Object.values(topicNames(prefix)));
  const found = await view.settings(described.filter(({ topic_id }) => topic_id).map(({ topic }) => topic));
  return Promise.all(
    described.map(async ({ topic, topic_id, replication, partitions }) => {
      const readers = topic_id ? consumptions(prefix).filter(({ topics }) => topics.includes(topic)) : [];
      return {
        topic,
        topic_id,
        partitions: partitions.length,
        replication,
        records: partitions.reduce((sum, { start, end }) => sum + end - start, 0),
        log: partitions,
        lag: await Promise.all(
          readers.map(async ({ group }) => ({ group, lag: totalLag(await lagOf(view, group, topic)) })),
        ),
        settings_differing: topic_id ? differences(wanted[topic] ?? {}, found.get(topic) ?? {}) : [],
      };
    }),
  );
}

function resultOf(topics: readonly TopicReport[]): CommandResult {
  const missing = topics.filter(({ topic_id }) => topic_id === null).map(({ topic }) => topic);
  const rows = topics.map(({ topic, topic_id, partitions, replication, records, log, lag }) => [
    topic,
    topic_id ?? 'missing',
    partitions,
    replication,
    log.reduce((sum, { start }) => sum + start, 0),
    log.reduce((sum, { end }) => sum + end, 0),
    records,
    lag.map(({ group, lag: records }) => `${group}: ${records.toLocaleString('en')}`).join(', ') || '-',
  ]);
  const header = ['TOPIC', 'ID', 'PARTITIONS', 'REPLICAS', 'START', 'END', 'RECORDS', 'LAG'];
  const notes = topics.flatMap(({ topic, settings_differing }) =>
    settings_differing.map(
      ({ name, value, wanted }) => `${topic}: ${name} is ${value ?? 'not set'}, wanted is ${wanted}`,
    ),
  );
  if (missing.length > 0) notes.push(`Missing: ${missing.join(', ')}. The services create them: npm start.`);
  return {
    document: { topics },
    text: [formatTable(header, rows), ...notes].join('\n'),
    ok: missing.length === 0,
  };
}
