import type { Command } from 'commander';
import { messageOf } from '../../core/errors.ts';
import { withCluster } from '../../operator/cluster.ts';
import { readServices, type ServiceStatus } from '../../operator/services.ts';
import { type OperatorSettings, readSettings } from '../../operator/settings.ts';
import { type Cell, formatTable } from '../../operator/text-table.ts';
import type { ClusterView, GroupDescription } from '../../platform/kafka/read/cluster-view.ts';
import { topicNames } from '../../platform/kafka/topics.ts';
import { type CommandDeps, type CommandResult, newCommand, withAction } from '../command.ts';
import { consumptions, lagOf, type PartitionLag, totalLag } from '../lag.ts';

/** Without one of these the pipeline does not run; the others may run elsewhere (`NLP_URL`, `CLICKHOUSE_URL`). */
const REQUIRED = ['gateway', 'enricher', 'sink'];

interface GroupLag extends GroupDescription {
  readonly lag: number;
  readonly topics: readonly { topic: string; lag: number; partitions: readonly PartitionLag[] }[];
}

interface KafkaStatus {
  readonly reachable: boolean;
  readonly error: string | null;
  readonly groups: readonly GroupLag[];
  readonly topics: readonly { topic: string; exists: boolean; partitions: number; records: number }[];
}

export const statusCommand = (deps: CommandDeps): Command =>
  withAction(
    newCommand('status', 'What runs, whether it is ready, and how far the consumers are behind.'),
    deps,
    async (_options, { env }) => {
      const settings = readSettings(env);
      const services = await readServices(settings);
      return resultOf(settings, services, services.length === 0 ? null : await kafkaStatus(settings));
    },
  );

async function kafkaStatus(settings: OperatorSettings): Promise<KafkaStatus> {
  try {
    return await withCluster(settings, (view) => readKafka(view, settings.TOPIC_PREFIX));
  } catch (error) {
    return { reachable: false, error: messageOf(error), groups: [], topics: [] };
  }
}

async function readKafka(view: ClusterView, prefix: string): Promise<KafkaStatus> {
  const described = await view.describeTopics(Object.values(topicNames(prefix)));
  const exists = new Set(described.filter(({ topic_id }) => topic_id).map(({ topic }) => topic));
  const readers = consumptions(prefix);
  const groups = await view.describeGroups(readers.map(({ group }) => group));
  return {
    reachable: true,
    error: null,
    topics: described.map(({ topic, partitions }) => ({
      topic,
      exists: exists.has(topic),
      partitions: partitions.length,
      records: partitions.reduce((sum, { start, end }) => sum + end - start, 0),
    })),
    groups: await Promise.all(
      readers.map(async ({ group, topics }) => {
        const lags = await Promise.all(
          topics
            .filter((topic) => exists.has(topic))
            .map(async (topic) => {
              const partitions = await lagOf(view, group, topic);
              return { topic, lag: totalLag(partitions), partitions };
            }),
        );
        const { state, members } = groups.find((found) => found.group === group) ?? { state: 'Dead', members: 0 };
        return { group, state, members, lag: lags.reduce((sum, { lag }) => sum + lag, 0), topics: lags };
      }),
    ),
  };
}

function resultOf(
  settings: OperatorSettings,
  services: readonly ServiceStatus[],
  kafka: KafkaStatus | null,
): CommandResult {
  const not_running = REQUIRED.filter((name) => !services.some((service) => service.name === name));
  const ok = not_running.length === 0 && services.every(({ ready }) => ready);
  const document = {
    ok,
    services,
    not_running,
    kafka: { reachable: kafka?.reachable ?? null, error: kafka?.error ?? null },
    groups: kafka?.groups ?? [],
    topics: kafka?.topics ?? [],
  };
  if (services.length === 0) {
    const text = `Nothing runs in ${settings.PARLEY_DATA_DIR}. Start the stack with npm start, or set PARLEY_DATA_DIR.`;
    return { document, text, ok };
  }
  const sections = [formatTable(['SERVICE', 'PID', 'READY', 'URL', 'ADMIN', 'DEPENDENCIES'], services.map(serviceRow))];
  if (kafka?.reachable) {
    const rows = kafka.groups.flatMap(({ group, state, members, topics }) =>
      topics.map(({ topic, lag }): Cell[] => [group, state, members, topic, lag]),
    );
    sections.push(formatTable(['GROUP', 'STATE', 'MEMBERS', 'TOPIC', 'LAG'], rows));
  } else sections.push(`Lag is unknown: ${kafka?.error}`);
  if (not_running.length > 0) sections.push(`Not running: ${not_running.join(', ')}. Start the stack with npm start.`);
  return { document, text: sections.join('\n\n'), ok };
}

function serviceRow({ name, pid, ready, url, admin_url, error, dependencies }: ServiceStatus): Cell[] {
  const states = Object.entries(dependencies).map(([dependency, { state, latency_ms, version, note, error: why }]) =>
    state === 'up'
      ? `${dependency}${version ? ` ${version}` : ''} ${latency_ms} ms${note ? ` (${note})` : ''}`
      : `${dependency} DOWN: ${why}`,
  );
  return [name, String(pid), ready ? 'yes' : 'NO', url, admin_url, error ?? (states.join(', ') || '-')];
}
