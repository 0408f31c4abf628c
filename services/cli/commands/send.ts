import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { type Command, InvalidArgumentError } from 'commander';
import { closeAll, connectAll } from '../../client/connect-all.ts';
import type { ParleyClient } from '../../client/parley-client.ts';
import type { DurationMs } from '../../core/brands.ts';
import { systemClock } from '../../core/clock.ts';
import { formatDuration } from '../../core/duration.ts';
import { type InputFacts, type ReadOptions, readChats } from '../../operator/chat-file/read-chats.ts';
import { botTokens, findGateway } from '../../operator/gateway.ts';
import { durationOption, integerOption, numberOption } from '../../operator/option-readers.ts';
import { readSettings } from '../../operator/settings.ts';
import { type CliContext, type CommandDeps, type CommandResult, newCommand, withAction } from '../command.ts';
import { demoLines } from '../send/demo-lines.ts';
import { describeDryRun, dryRun } from '../send/dry-run.ts';
import { type InputOptions, withInputOptions } from '../send/input-options.ts';
import { describeInput } from '../send/input-report.ts';
import { InsightCount, type InsightCounts } from '../send/insight-count.ts';
import { describeSend, type SendReport, sendReport } from '../send/report.ts';
import { Sender } from '../send/sender.ts';
import { Watch } from '../send/watch.ts';

interface SendCommandOptions extends InputOptions {
  readonly dryRun?: boolean;
  readonly demo?: boolean;
  readonly bots: number;
  readonly tenants: number;
  readonly rate?: number;
  readonly limit?: number;
  readonly url?: string;
  readonly tokens?: string;
  readonly runId?: string;
  readonly keepTimes?: boolean;
  readonly allowRefused?: boolean;
  readonly insights?: DurationMs;
}

const DEMO_LIMIT = 1_000;

const runIdOption = (value: string): string => {
  if (!/^[\w.:-]{1,32}$/.test(value)) throw new InvalidArgumentError('Allowed are 1 to 32 letters, digits and ._:-');
  return value;
};

export const sendCommand = (deps: CommandDeps): Command =>
  withAction<SendCommandOptions>(
    withInputOptions(
      newCommand('send', 'Streams conversations in over WebSocket, as many bots.').argument(
        '[files...]',
        'chats in any shape of docs/files.md, plain, gzip, zstd or zip; - is stdin',
      ),
    )
      .option('--dry-run', 'read everything, show the first messages as they would be sent, and send nothing')
      .option('--demo', `made-up conversations in several languages and moods instead of a file`)
      .option('--bots <n>', 'send as so many bots', integerOption(1, 20_000), 10)
      .option('--tenants <n>', 'spread over so many tenants', integerOption(1, 20_000), 1)
      .option('--rate <n>', 'messages a second (default: as fast as they are acked)', numberOption(0.01, 1_000_000))
      .option(
        '--limit <n>',
        `stop after so many messages (default: all; ${DEMO_LIMIT} with --demo)`,
        integerOption(1, 1e12),
      )
      .option('--url <url>', 'the gateway (default: the running one)')
      .option('--tokens <file>', 'tokens, one a line, for a gateway that does not take the embedded key')
      .option('--run-id <id>', 'begin message ids with this; the same again sends the same messages again', runIdOption)
      .option('--keep-times', "send the file's own sent_at or ts instead of the present time")
      .option('--insights <duration>', 'ask for insights; wait so long for those still to come', durationOption)
      .option('--allow-refused', 'exit 0 even when messages were refused or lines were bad')
      .addHelpText('after', HELP),
    deps,
    (options, context, files) => send(options, context, files, deps.misuse),
  );

const HELP = `
A conversation stays with one bot and in order. Each run's messages are new ones; with --run-id a second run is a resend,
which is acked and counted once. What is no message is left out, and counted by what is wrong and where.`;

async function send(
  options: SendCommandOptions,
  context: CliContext,
  files: readonly string[],
  misuse: CommandDeps['misuse'],
): Promise<CommandResult> {
  if ((files.length === 0) === (options.demo !== true)) misuse('give either FILES or --demo');
  const settings = readSettings(context.env);
  const runId = options.runId ?? `${Date.now().toString(36)}${randomBytes(3).toString('hex')}`;
  const limit = options.limit ?? (files.length === 0 ? DEMO_LIMIT : Number.POSITIVE_INFINITY);
  const keepTimes = options.keepTimes === true;
  const reading = readingOf(options, keepTimes, runId, context);
  if (options.dryRun === true) {
    const lines = files.length === 0 ? Readable.from(demoLines(runId)) : readChats(files, reading);
    const report = await dryRun(lines, reading.inputs, reading.mended, {
      limit,
      keepTimes,
      runId,
      signal: context.signal,
    });
    const ok = options.allowRefused === true || (report.bad_lines === 0 && !context.signal.aborted);
    return { document: report, text: describeDryRun(report), ok };
  }
  const role = keepTimes ? 'importer' : 'bot';
  const tokens = await botTokens(settings, options.bots, options.tenants, options.tokens, role);
  const url = await findGateway(settings, options.url);
  const insightCount = new InsightCount(runId);
  const { onInsight } = insightCount;
  const bots = await connectAll(
    url,
    tokens,
    options.insights === undefined ? {} : { insights: true, listeners: { onInsight } },
  );
  const sender = new Sender({
    bots,
    runId,
    mayRepeat: options.runId !== undefined,
    ratePerS: options.rate ?? null,
    limit,
    keepTimes,
    clock: systemClock,
    signal: context.signal,
  });
  const started = systemClock.monotonicMs();
  const watch = new Watch(sender, bots, context, systemClock);
  let elapsedMs = 0;
  let insights: InsightCounts | null = null;
  try {
    await sender.run(files.length === 0 ? demoLines(runId) : readChats(files, reading));
    elapsedMs = systemClock.monotonicMs() - started;
    if (options.insights !== undefined) {
      insights = await insightCount.wait(sender.counts.acked, options.insights, systemClock, context.signal);
    }
  } finally {
    watch.stop();
    await closeAll(bots, 0);
  }
  const report = sendReport(sender, {
    runId,
    url,
    bots: bots.length,
    tenants: options.tenants,
    elapsedMs,
    insights,
    inputs: reading.inputs,
    mended: reading.mended,
    ...totals(bots),
  });
  return resultOf(report, options.allowRefused === true, context.signal.aborted);
}

/** Inputs that are kept for the report; an archive may hold a file a day. */
const MAX_INPUTS = 100;

function readingOf(options: SendCommandOptions, keepTimes: boolean, runId: string, context: CliContext) {
  const inputs: InputFacts[] = [];
  const reading: ReadOptions = {
    as: options.as,
    map: options.map ?? new Map(),
    speakers: options.speaker ?? new Map(),
    keepTimes,
    origin: runId,
    stdin: context.stdin,
    mended: { metadata_keys: 0, bytes: 0 },
    onInput: (facts) => {
      context.progress(describeInput(facts));
      if (inputs.length < MAX_INPUTS) inputs.push(facts);
    },
  };
  return { ...reading, inputs };
}

function totals(bots: readonly ParleyClient[]): { reconnects: number; postponed: number; resent: number } {
  const sum = (pick: 'reconnects' | 'postponed' | 'resent') =>
    bots.reduce((total, { counters }) => total + counters[pick], 0);
  return { reconnects: sum('reconnects'), postponed: sum('postponed'), resent: sum('resent') };
}

function resultOf(report: SendReport, allowRefused: boolean, interrupted: boolean): CommandResult {
  const lost = report.refused['closed'] ?? 0;
  const faultless = report.acked === report.sent && report.bad_lines === 0 && (report.insights?.missing ?? 0) === 0;
  // What was never acked is no refusal: it is incomplete work, whatever is allowed.
  const ok = !interrupted && lost === 0 && (allowRefused || faultless);
  const note = interrupted ? `Interrupted after ${formatDuration(report.elapsed_ms)}.\n` : '';
  return { document: { ...report, interrupted }, text: note + describeSend(report), ok };
}
