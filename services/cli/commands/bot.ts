import { type Command, Option } from 'commander';
import { connectClient } from '../../client/connect-all.ts';
import { type DurationMs, durationMs } from '../../core/brands.ts';
import { systemClock } from '../../core/clock.ts';
import { SPEAKERS, type Speaker } from '../../core/wire-codes.ts';
import { botTokens, findGateway } from '../../operator/gateway.ts';
import { localKeyPath, tokenSigner } from '../../operator/local-token.ts';
import { durationOption } from '../../operator/option-readers.ts';
import { type OperatorSettings, readSettings } from '../../operator/settings.ts';
import { Chat } from '../bot/chat.ts';
import { describeChat } from '../bot/transcript.ts';
import { type CliContext, type CommandDeps, type CommandResult, newCommand, withAction } from '../command.ts';

interface BotOptions {
  readonly tenant: string;
  readonly bot: string;
  readonly conversation?: string;
  readonly speaker: Speaker;
  readonly wait: DurationMs;
  readonly url?: string;
  readonly token?: string;
}

const TOKEN_TTL_MS = 3_600_000;

const HELP = `
Each line is a message. At a terminal type until Ctrl-D; without one, lines are read from stdin until its end. Acks and
insights are shown on stderr as they come; stdout has the summary. Exit code 1 when a message was not acked, or its insight
did not come.`;

export const botCommand = (deps: CommandDeps): Command =>
  withAction<BotOptions>(
    newCommand('bot', 'Chat by hand as a bot: see the ack and the insight of each line.')
      .option('--tenant <id>', 'tenant', 'demo')
      .option('--bot <id>', 'bot', 'demo-bot')
      .option('--conversation <id>', 'go on with this conversation (default: a new one)')
      .addOption(new Option('--speaker <who>', 'who speaks').choices(SPEAKERS).default('user'))
      .option('--wait <duration>', 'how long the last insights are waited for', durationOption, durationMs(10_000))
      .option('--url <url>', 'the gateway (default: the running one)')
      .option('--token <file>', 'file with a token, for a gateway that does not take the embedded key')
      .addHelpText('after', HELP),
    deps,
    chat,
  );

async function chat(options: BotOptions, context: CliContext): Promise<CommandResult> {
  const settings = readSettings(context.env);
  const url = await findGateway(settings, options.url);
  const client = await connectClient({
    url,
    insights: true,
    tokenProvider: await tokenSource(settings, options),
    listeners: { onReconnect: (resent) => context.progress(`connected again; ${resent} messages sent once more`) },
  });
  const conversation = new Chat(client, {
    conversationId: options.conversation ?? `chat-${Date.now().toString(36)}`,
    speaker: options.speaker,
    waitMs: options.wait,
    clock: systemClock,
    signal: context.signal,
    say: context.progress,
  });
  context.progress(`Connected to ${url}; each line is a message.`);
  try {
    await conversation.run(context.lines());
  } finally {
    await client.close({ timeoutMs: 0 });
  }
  const report = conversation.report(url);
  const complete = report.acked === report.sent && report.insights === report.acked;
  return { document: report, text: describeChat(report), ok: complete };
}

async function tokenSource(settings: OperatorSettings, options: BotOptions): Promise<() => Promise<string>> {
  const { token: file, tenant, bot } = options;
  if (file !== undefined) return async () => String((await botTokens(settings, 1, 1, file))[0]);
  const sign = await tokenSigner(localKeyPath(settings.PARLEY_DATA_DIR));
  return () => sign({ tenant, bot, roles: ['bot'], ttlMs: TOKEN_TTL_MS });
}
