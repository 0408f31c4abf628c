import { randomBytes } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import { closeAll, connectAll } from '../../client/connect-all.ts';
import type { ParleyClient } from '../../client/parley-client.ts';
import type { DurationMs } from '../../core/brands.ts';
import { systemClock } from '../../core/clock.ts';
import { formatDuration } from '../../core/duration.ts';
import { type BadLine, type ChatLine, parseChatLine } from '../../operator/chat-line.ts';
import { botTokens, findGateway } from '../../operator/gateway.ts';
import { readLines } from '../../operator/json-lines.ts';
import { durationOption, integerOption, numberOption } from '../../operator/option-readers.ts';
import { readSettings } from '../../operator/settings.ts';
import { type CliContext, type CommandDeps, type CommandResult, newCommand, withAction } from '../command.ts';
import { demoLines } from '../send/demo-lines.ts';
import { InsightCount, type InsightCounts } from '../send/insight-count.ts';
import { describeSend, type SendReport, sendReport } from '../send/report.ts';
import { Sender } from '../send/sender.ts';
import { Watch } from '../send/watch.ts';

interface SendCommandOptions {
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
    newCommand('send', 'Streams conversations in over WebSocket, as many bots.')
      .argument('[file]', 'JSON Lines, plain or gzip, with conversation_id, speaker and text on each line')
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
    (options, context, [file]) => send(options, context, file, deps.misuse),
  );

const HELP = `
A conversation stays with one bot and in order. Each run's messages are new ones; with --run-id a second run is a resend,
which is acked and counted once. Lines that are no message are reported with their number and left out.`;

async function send(
  options: SendCommandOptions,
  context: CliContext,
  file: string | undefined,
  misuse: CommandDeps['misuse'],
): Promise<CommandResult> {
  if ((file === undefined) === (options.demo !== true)) misuse('give either a FILE or --demo');
  const settings = readSettings(context.env);
  const runId = options.runId ?? `${Date.now().toString(36)}${randomBytes(3).toString('hex')}`;
  const tokens = await botTokens(settings, options.bots, options.tenants, options.tokens);
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
    limit: options.limit ?? (file === undefined ? DEMO_LIMIT : Number.POSITIVE_INFINITY),
    keepTimes: options.keepTimes === true,
    clock: systemClock,
    signal: context.signal,
  });
  const started = systemClock.monotonicMs();
  const watch = new Watch(sender, bots, context, systemClock);
  let elapsedMs = 0;
  let insights: InsightCounts | null = null;
  try {
    await sender.run(file === undefined ? demoLines(runId) : parsedLines(file));
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
    ...totals(bots),
  });
  return resultOf(report, options.allowRefused === true, context.signal.aborted);
}

async function* parsedLines(file: string): AsyncGenerator<ChatLine | BadLine, void> {
  for await (const line of readLines(file)) yield parseChatLine(line);
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
