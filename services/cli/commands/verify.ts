import type { Command } from 'commander';
import { type DurationMs, durationMs, type EpochMs } from '../../core/brands.ts';
import { systemClock } from '../../core/clock.ts';
import { formatRange } from '../../core/offset-ranges.ts';
import { withClickHouse } from '../../operator/clickhouse.ts';
import { withCluster } from '../../operator/cluster.ts';
import { durationOption, integerListOption, sinceOption } from '../../operator/option-readers.ts';
import { readServices, type StuckService, stuckServices } from '../../operator/services.ts';
import { readSettings } from '../../operator/settings.ts';
import { formatTable } from '../../operator/text-table.ts';
import { verifySources } from '../../verify/sources.ts';
import { type VerifyReport, verify } from '../../verify/verify.ts';
import type { ViolationKind } from '../../verify/verify-report.ts';
import { type CommandDeps, newCommand, withAction } from '../command.ts';

interface Options {
  readonly wait: DurationMs;
  readonly since?: EpochMs;
  readonly partition?: readonly number[];
  readonly log?: boolean;
  readonly acceptGaps?: boolean;
}

const HELP = `
events = enriched + degraded + dead_lettered + duplicates + gaps + in flight + missing; missing must be 0.
Places of the log that hold no record (transaction markers, aborted or compacted records) are no events; once retention has
removed them unread, nothing tells them from records, and they count as gaps.
A service of this machine whose partition cannot go on is named with the record, and is not ok.
Exit code 1 unless ok; with --wait also when something is still in flight at its end.`;

export const verifyCommand = (deps: CommandDeps): Command =>
  withAction<Options>(
    newCommand('verify', 'Checks that no message is missing or counted twice: Kafka against ClickHouse. Read-only.')
      .option('--wait <duration>', 'wait so long for what is in flight', durationOption, durationMs(0))
      .option('--since <time>', 'only records since then: 2h, or 2026-05-01T10:00:00Z', sinceOption(systemClock.now))
      .option('--partition <n>', 'only this partition; 3,4 or repeated for several', integerListOption(0, 100_000))
      .option('--accept-gaps', 'exit code 0 though records were removed before they were read')
      .option('--log', 'also read chat.enriched through and compare it with the receipts')
      .addHelpText('after', HELP),
    deps,
    async ({ wait, since, partition, log, acceptGaps }, { env, progress, signal }) => {
      const settings = readSettings(env);
      let told = '';
      const report = await withCluster(settings, (kafka) =>
        withClickHouse(settings, (clickhouse) =>
          verify(verifySources(kafka, clickhouse, settings.TOPIC_PREFIX), {
            clock: systemClock,
            waitMs: wait,
            ...(since !== undefined && { since }),
            ...(partition && { partitions: partition }),
            readLog: log === true,
            acceptGaps: acceptGaps === true,
            signal,
            progress: (line) => {
              if (line !== told) progress(line);
              told = line;
            },
          }),
        ),
      );
      // Asked after the waiting: what was only late is done by now.
      const stuck = stuckServices(await readServices(settings));
      const ok = report.ok && stuck.length === 0;
      return { document: { ...report, ok, stuck }, text: describeReport(report, stuck), ok };
    },
  );

/** For people: the verdict in one sentence, the conservation law as a table, and what is wrong with its coordinates. */
export function describeReport(report: VerifyReport, stuck: readonly StuckService[] = []): string {
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
  return [
    sentence(report, stuck.length),
    '',
    formatTable(header, rows),
    ...scopeLines(report),
    ...missingLines(report),
    ...gapLines(report),
    ...noRecordLines(report),
    ...violationLines(report),
    ...stuck.map(({ service, instance, error }) => `Stuck: ${service} (${instance}): ${error}`),
  ].join('\n');
}

const missingLines = ({ by_partition }: VerifyReport): string[] =>
  by_partition
    .filter(({ missing }) => missing > 0)
    .map(({ topic, partition, missing, missing_ranges, topic_id }) => {
      const listed = missing_ranges.map(formatRange).join(', ');
      return `Missing in ${topic} partition ${partition}: ${missing} (offsets ${listed}; topic id ${topic_id})`;
    });

/** What was removed is known by its offsets alone, and a marker has one as a record has. */
const MARKERS_TOO =
  'Markers of transactions among what was removed count as lost records: nothing says any more what stood there.';

function gapLines({ by_partition, topics }: VerifyReport): string[] {
  const lost = by_partition.filter(({ gaps }) => gaps > 0);
  const mayBeMarkers = lost.some(({ topic }) => (topics[topic]?.no_record ?? 0) > 0);
  const lines = lost.map(({ topic, partition, gaps }) => {
    const records = gaps === 1 ? '1 record was' : `${gaps.toLocaleString('en')} records were`;
    return `Lost in ${topic} partition ${partition}: ${records} removed from the log, by retention or by hand, before the enricher had read them.`;
  });
  return mayBeMarkers ? [...lines, MARKERS_TOO] : lines;
}

/** Nothing is hidden: offsets that have no receipt for a good reason are counted as well. */
const noRecordLines = ({ topics }: VerifyReport): string[] =>
  Object.entries(topics)
    .filter(([, { no_record }]) => no_record > 0)
    .map(([topic, { no_record }]) => {
      const places = no_record === 1 ? '1 place holds' : `${no_record.toLocaleString('en')} places hold`;
      return `In ${topic} ${places} no record: transaction markers, aborted or compacted records.`;
    });

const KINDS: readonly (readonly [ViolationKind, title: string])[] = [
  ['double_receipts', 'Source records with more than one receipt'],
  ['double_facts', 'Messages with more than one row'],
  ['lost_facts', 'Messages with a receipt and no row'],
  ['rollup_mismatches', 'Rollup rows that differ from the facts'],
  ['log_mismatches', 'Records of chat.enriched that are gone, or have no receipt'],
];

/** The kinds of which there are any. */
const broken = ({ violations }: Pick<VerifyReport, 'violations'>) =>
  KINDS.filter(([kind]) => (violations[kind] ?? 0) > 0);

const violationLines = (report: VerifyReport): string[] =>
  broken(report).flatMap(([kind, title]) => [
    `${title}: ${report.violations[kind]}`,
    ...report.examples[kind].map((example) => `  ${JSON.stringify(example)}`),
  ]);

const SKIPPED: Partial<Record<ViolationKind, string>> = {
  rollup_mismatches: 'rollups not recounted: they are of no partition',
};

function scopeLines({ scope: { since, partitions }, violations }: VerifyReport): string[] {
  if (since === null && partitions === null) return [];
  const said = [
    ...(since === null ? [] : [`since ${new Date(since).toISOString()}`]),
    ...(partitions === null ? [] : [`partition ${partitions.join(', ')}`]),
    ...KINDS.filter(([kind]) => violations[kind] === null).flatMap(([kind]) => SKIPPED[kind] ?? []),
  ];
  return [`Looked at: ${said.join('; ')}.`];
}

function sentence({ ok, topics, violations }: VerifyReport, stuck: number): string {
  const sum = (field: 'events' | 'in_flight' | 'missing' | 'gaps') =>
    topics['chat.events'][field] + topics['chat.replay'][field];
  const say = (count: number, what: string) => `${count.toLocaleString('en')} ${what}`;
  const waiting = sum('in_flight') > 0 ? `, ${say(sum('in_flight'), 'still in flight')}` : '';
  const lost = sum('gaps') > 0 ? say(sum('gaps'), 'lost before they were read') : '';
  if (ok && stuck === 0) {
    const accepted = lost === '' ? '' : `, ${lost} (accepted)`;
    return `OK: ${say(sum('events'), 'records')}, none missing, none counted twice${accepted}${waiting}.`;
  }
  const faults = [
    ...(sum('missing') > 0 ? [say(sum('missing'), 'missing')] : []),
    ...(lost === '' ? [] : [lost]),
    ...broken({ violations }).map(([kind]) => say(violations[kind] ?? 0, kind.replaceAll('_', ' '))),
    ...(stuck > 0 ? [`${say(stuck, stuck === 1 ? 'service' : 'services')} cannot go on`] : []),
  ];
  return faults.length > 0
    ? `NOT OK: ${faults.join(', ')}${waiting}.`
    : `NOT DONE: nothing wrong, but ${say(sum('in_flight'), 'records are still in flight')}; see npx parley status.`;
}
