import type { Command } from 'commander';
import type { DurationMs } from '../../core/brands.ts';
import { durationMs } from '../../core/brands.ts';
import { systemClock } from '../../core/clock.ts';
import { formatTable } from '../../core/text-table.ts';
import { withClickHouse } from '../../platform/operator/clickhouse.ts';
import { withCluster } from '../../platform/operator/cluster.ts';
import { durationOption } from '../../platform/operator/option-readers.ts';
import { readSettings } from '../../platform/operator/settings.ts';
import { formatRange } from '../../replay/offset-ranges.ts';
import { verifySources } from '../../replay/sources.ts';
import { type VerifyReport, verify } from '../../replay/verify.ts';
import { type CommandDeps, newCommand, withAction } from '../command.ts';

export const verifyCommand = (deps: CommandDeps): Command =>
  withAction<{ wait: DurationMs }>(
    newCommand('verify', 'Checks that no message is missing or counted twice: Kafka against ClickHouse. Read-only.')
      .option('--wait <duration>', 'wait so long for what is in flight', durationOption, durationMs(0))
      .addHelpText(
        'after',
        '\nevents = enriched + degraded + dead_lettered + duplicates + gaps + in flight + missing; missing must be 0.\nExit code 1 unless ok; with --wait also when something is still in flight at its end.',
      ),
    deps,
    async ({ wait }, { env, progress, signal }) => {
      const settings = readSettings(env);
      let reported = -1;
      const report = await withCluster(settings, (kafka) =>
        withClickHouse(settings, (clickhouse) =>
          verify(verifySources(kafka, clickhouse, settings.TOPIC_PREFIX), {
            clock: systemClock,
            waitMs: wait,
            signal,
            progress: (inFlight) => {
              if (inFlight !== reported) progress(`${inFlight.toLocaleString('en')} in flight`);
              reported = inFlight;
            },
          }),
        ),
      );
      return { document: report, text: describeReport(report), ok: report.ok };
    },
  );

/** For people: the table of design §1's law, what is wrong with its coordinates, and the verdict in one sentence. */
export function describeReport(report: VerifyReport): string {
  const header = ['TOPIC', 'EVENTS', 'ENRICHED', 'DEGRADED', 'DEAD', 'DUPLICATES', 'GAPS', 'IN FLIGHT', 'MISSING'];
  const rows = Object.entries(report.topics).map(([topic, found]) => [
    topic,
    found.events,
    found.enriched,
    found.degraded,
    found.dead_lettered,
    found.duplicate_receipts,
    found.gaps,
    found.in_flight,
    found.missing,
  ]);
  return [formatTable(header, rows), ...missingLines(report), ...violationLines(report), '', sentence(report)].join(
    '\n',
  );
}

const missingLines = ({ by_partition }: VerifyReport): string[] =>
  by_partition
    .filter(({ missing }) => missing > 0)
    .map(({ topic, partition, missing, missing_ranges, topic_id }) => {
      const listed = missing_ranges.map(formatRange).join(', ');
      return `Missing in ${topic} partition ${partition}: ${missing} (offsets ${listed}; topic id ${topic_id})`;
    });

const KINDS = [
  ['double_receipts', 'Source records with more than one receipt'],
  ['double_facts', 'Messages with more than one row'],
  ['rollup_mismatches', 'Rollup rows that differ from the facts'],
] as const;

const violationLines = ({ violations, examples }: VerifyReport): string[] =>
  KINDS.filter(([kind]) => violations[kind] > 0).flatMap(([kind, title]) => [
    `${title}: ${violations[kind]}`,
    ...examples[kind].map((example) => `  ${JSON.stringify(example)}`),
  ]);

function sentence({ ok, topics, violations }: VerifyReport): string {
  const sum = (field: 'events' | 'in_flight' | 'missing') =>
    topics['chat.events'][field] + topics['chat.replay'][field];
  const say = (count: number, what: string) => `${count.toLocaleString('en')} ${what}`;
  const waiting = sum('in_flight') > 0 ? `, ${say(sum('in_flight'), 'still in flight')}` : '';
  if (ok) return `OK: ${say(sum('events'), 'records')}, none missing, none counted twice${waiting}.`;
  const faults = [
    ...(sum('missing') > 0 ? [say(sum('missing'), 'missing')] : []),
    ...KINDS.filter(([kind]) => violations[kind] > 0).map(([kind]) => say(violations[kind], kind.replaceAll('_', ' '))),
  ];
  return faults.length > 0
    ? `NOT OK: ${faults.join(', ')}${waiting}.`
    : `NOT DONE: nothing wrong, but ${say(sum('in_flight'), 'records are still in flight')}; see npx parley status.`;
}
