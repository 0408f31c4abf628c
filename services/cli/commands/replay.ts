import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { systemClock } from '../../core/clock.ts';
import { withClickHouse } from '../../operator/clickhouse.ts';
import { integerOption, numberOption } from '../../operator/option-readers.ts';
import { readSettings } from '../../operator/settings.ts';
import type { ClickHouse } from '../../platform/clickhouse/clickhouse.ts';
import { ErasureList } from '../../platform/clickhouse/erasure-list.ts';
import type { Kafka } from '../../platform/kafka/kafkajs/kafka.ts';
import { BatchProducer } from '../../platform/kafka/produce/batch-producer.ts';
import { topicNames } from '../../platform/kafka/topics.ts';
import { createLogger } from '../../platform/logger.ts';
import { Metrics } from '../../platform/metrics.ts';
import { rangesOf } from '../../replay/dead-letters.ts';
import { readLetterStates } from '../../replay/letter-states.ts';
import { type ReplayOptions, type ReplayResult, replayDeadLetters } from '../../replay/replay.ts';
import { beginRun, finishRun, type ReplayRun, type RunOutcome } from '../../replay/replay-audit.ts';
import type { Selection } from '../../replay/selection.ts';
import { type CliContext, type CommandDeps, type CommandResult, newCommand, withAction } from '../command.ts';
import { describeReplay, type ReplayReport } from '../dlq/describe-replay.ts';
import { type SelectionOptions, selectionOf, withSelection } from '../dlq/selection-options.ts';
import { connectCodec, withDeadLetters } from '../dlq/source.ts';

interface ReplayCommandOptions extends SelectionOptions {
  readonly execute?: boolean;
  readonly dryRun?: boolean;
  readonly rate: number;
  readonly limit?: number;
  readonly yes?: boolean;
  readonly allowSkipped?: boolean;
}

const DEFAULT_RATE = 100;
/** Kafka's answer to one record; then the run ends as failed. */
const SEND_TTL_MS = 60_000;
const PROGRESS_MS = 1_000;

export const replayCommand = (deps: CommandDeps): Command =>
  withAction<ReplayCommandOptions>(
    withSelection(newCommand('replay', 'Sends dead letters through the enricher again; without --execute, the plan.'))
      .option('--execute', 'do it')
      .option('--dry-run', 'print the plan and produce nothing: the default')
      .option('--rate <n>', 'records a second', numberOption(0.01, 100_000), DEFAULT_RATE)
      .option('--limit <n>', 'replay at most so many', integerOption(1, 1e12))
      .option('--yes', 'do not ask before producing')
      .option('--allow-skipped', 'exit 0 even when something selected cannot be replayed')
      .addHelpText('after', HELP),
    deps,
    (options, context) => {
      if (options.execute && options.dryRun) deps.misuse('give either --execute or --dry-run');
      if (options.execute && !options.yes && !context.confirm) {
        deps.misuse('--execute asks before it produces; where nobody can answer, give --yes');
      }
      return run(options, selectionOf(options, deps.misuse), context);
    },
  );

const HELP = `
A replayed message keeps its identity: its new outcome takes the place of the old one, so nothing is counted twice, however
often it is replayed. Exit code 1 when something selected cannot be replayed, unless --allow-skipped.`;

async function run(options: ReplayCommandOptions, selection: Selection, context: CliContext): Promise<CommandResult> {
  const settings = readSettings(context.env);
  const codec = await connectCodec(settings);
  const { replay: replayTopic } = topicNames(settings.TOPIC_PREFIX);
  return withDeadLetters(settings, codec, (source, kafka) =>
    withClickHouse(settings, async (clickhouse) => {
      const erasures = await ErasureList.read(clickhouse);
      const replay: ReplayOptions = {
        source,
        selection,
        ranges: await rangesOf(source, selection),
        runId: `${Date.now().toString(36)}${randomBytes(3).toString('hex')}`,
        replayTopic,
        letterStates: (letters) => readLetterStates(clickhouse, letters, { replayTopic, erasures }),
        signal: context.signal,
        ...(options.limit !== undefined && { limit: options.limit }),
      };
      const executed = options.execute === true;
      if (!executed || !options.yes) {
        const plan = await replayDeadLetters(replay);
        if (!executed) return resultOf({ ...reportOf(plan, null), executed: false }, options);
        context.progress(describeReplay({ ...reportOf(plan, null), executed: false }));
        const question = `Replay ${plan.counts.replay.toLocaleString('en')} messages?`;
        if (plan.counts.replay === 0 || !(await context.confirm?.(question))) {
          return resultOf({ ...reportOf(plan, null), executed: false }, options);
        }
      }
      const result = await execute(replay, options, { kafka, clickhouse, progress: context.progress });
      return resultOf({ ...reportOf(result, replay.runId), executed: true }, options);
    }),
  );
}

const reportOf = ({ counts, ended, error }: ReplayResult, runId: string | null): Omit<ReplayReport, 'executed'> => ({
  run_id: runId,
  ended,
  error,
  ...counts,
});

interface Tools {
  readonly kafka: Kafka;
  readonly clickhouse: ClickHouse;
  readonly progress: (line: string) => void;
}

/** Between two audit rows: the first stands before anything is produced. */
async function execute(
  replay: ReplayOptions,
  { execute: _, yes: __, ...asked }: ReplayCommandOptions,
  { kafka, clickhouse, progress }: Tools,
): Promise<ReplayResult> {
  const audit: ReplayRun = {
    runId: replay.runId,
    startedAt: systemClock.now(),
    selection: JSON.stringify({ ...replay.selection, rate: asked.rate, limit: asked.limit ?? null }),
  };
  await beginRun(clickhouse, audit);
  progress(`Run ${replay.runId} begins, ${asked.rate} records a second at most.`);
  const finish = (outcome: RunOutcome, counts: ReplayResult['counts'] | null) =>
    finishRun(clickhouse, audit, { at: systemClock.now(), outcome, counts });
  let reportedAt = systemClock.monotonicMs();
  try {
    const producer = await BatchProducer.connect(kafka, {
      ttlMs: SEND_TTL_MS,
      log: createLogger('parley', 'silent'),
      metrics: new Metrics('parley'),
    });
    const production = {
      send: producer.send.bind(producer),
      ratePerS: asked.rate,
      clock: systemClock,
    };
    const onProgress = (replayed: number, selected: number) => {
      if (systemClock.monotonicMs() - reportedAt < PROGRESS_MS) return;
      reportedAt = systemClock.monotonicMs();
      progress(`${replayed.toLocaleString('en')} replayed of ${selected.toLocaleString('en')} looked at`);
    };
    const result = await replayDeadLetters({ ...replay, progress: onProgress }, production).finally(() =>
      producer.close(),
    );
    await finish(outcomeOf(result), result.counts);
    return result;
  } catch (error) {
    // The first error is the one to report, even if ClickHouse is away by now.
    await finish('failed', null).catch(() => undefined);
    throw error;
  }
}

function outcomeOf({ ended, counts }: ReplayResult): RunOutcome {
  if (ended === 'failed' || ended === 'interrupted') return ended;
  return counts.not_replayable > 0 ? 'incomplete' : 'done';
}

function resultOf(report: ReplayReport, { allowSkipped }: ReplayCommandOptions): CommandResult {
  const finished = report.ended === 'complete' || report.ended === 'limit';
  return {
    document: report,
    text: describeReplay(report),
    ok: finished && (report.not_replayable === 0 || allowSkipped === true),
  };
}
