import type { Command } from 'commander';
import { systemClock } from '../../core/clock.ts';
import type { ErasureSubject } from '../../core/erasure.ts';
import { subjectHash } from '../../core/erasure.ts';
import { type Forgotten, forget, untilOf } from '../../erasure/forget.ts';
import { keptCopies } from '../../erasure/kept-copies.ts';
import { type StoredWords, WordStore } from '../../erasure/stored-words.ts';
import { withClickHouse } from '../../operator/clickhouse.ts';
import { withCluster } from '../../operator/cluster.ts';
import { readSettings } from '../../operator/settings.ts';
import { type CliContext, type CommandDeps, type CommandResult, newCommand, withAction } from '../command.ts';
import { describeForget, type ForgetReport } from '../forget/describe-forget.ts';

interface Options {
  readonly tenant?: string;
  readonly user?: string;
  readonly bot?: string;
  readonly conversation?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

const HELP = `
Blanks text, user, metadata and topics of every message of the subject, dead-lettered ones too, and keeps all else: counts,
receipts and "parley verify" stay as they are. It holds for what is replayed, sent again or late, too. Kafka keeps its
records until their retention ends: the report says when. Run it again after a failure: it does the rest.
Exit code 1 when something is left.`;

export const forgetCommand = (deps: CommandDeps): Command =>
  withAction<Options>(
    newCommand(
      'forget',
      "Erases what a user, a conversation or a bot said from ClickHouse, for good; it can't be undone.",
    )
      .option('--tenant <tenant>', 'whose: required')
      .option('--user <user>', "the messages' user_id")
      .option('--bot <bot>', 'everything of this bot, or with --conversation one of its conversations')
      .option('--conversation <id>', 'one conversation of --bot, whoever speaks')
      .option('--dry-run', 'say what would be blanked, and change nothing')
      .option('--yes', 'do not ask first')
      .addHelpText('after', HELP),
    deps,
    (options, context) => {
      const subject =
        subjectOf(options) ?? deps.misuse('give --tenant, and one of --user, --bot, --bot with --conversation');
      if (!options.dryRun && !options.yes && !context.confirm) {
        deps.misuse('it asks before it erases; where nobody can answer, give --yes');
      }
      return run(subject, options, context);
    },
  );

/** Undefined where the options name no subject, or two. */
function subjectOf({ tenant, user, bot, conversation }: Options): ErasureSubject | undefined {
  if (!tenant) return undefined;
  if (user) return bot === undefined && conversation === undefined ? { scope: 'user', tenant, user } : undefined;
  if (!bot) return undefined;
  if (conversation === undefined) return { scope: 'bot', tenant, bot };
  return conversation ? { scope: 'conversation', tenant, bot, conversation } : undefined;
}

async function run(subject: ErasureSubject, options: Options, context: CliContext): Promise<CommandResult> {
  const settings = readSettings(context.env);
  const { signal, progress } = context;
  return withCluster(settings, (kafka) =>
    withClickHouse(settings, async (clickhouse) => {
      const copies = await keptCopies(kafka, settings.TOPIC_PREFIX, systemClock.now());
      const planned = await new WordStore(clickhouse).count(subject, untilOf(systemClock));
      const plan = reportOf(subject, planned, null, copies);
      if (options.dryRun) return resultOf(plan);
      if (!options.yes) {
        progress(describeForget(plan));
        if (!(await context.confirm?.('Erase it?'))) return resultOf(plan);
      }
      const forgotten = await forget({ clickhouse, subject, clock: systemClock, signal, progress });
      return resultOf(reportOf(subject, forgotten.found, forgotten, copies));
    }),
  );
}

const reportOf = (
  subject: ErasureSubject,
  found: StoredWords,
  forgotten: Forgotten | null,
  kafka: ForgetReport['kafka'],
): ForgetReport => ({
  executed: forgotten !== null,
  erasure_id: forgotten?.erasureId ?? null,
  scope: subject.scope,
  tenant: subject.tenant,
  subject: subjectHash(subject),
  until: forgotten?.until ?? null,
  found,
  left_rows: forgotten?.left.rows ?? null,
  outcome: forgotten?.outcome ?? null,
  problem: forgotten?.problem ?? null,
  kafka,
});

const resultOf = (report: ForgetReport): CommandResult => ({
  document: report,
  text: describeForget(report),
  ok: report.outcome === null || report.outcome === 'done',
});
