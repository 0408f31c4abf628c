import { Command, CommanderError } from 'commander';
import { ERRORS, isParleyError, messageOf } from '../core/errors.ts';
import { VERSION } from '../core/package-info.ts';
import type { CliContext, CommandDeps, CommandResult } from './command.ts';
import { botCommand } from './commands/bot.ts';
import { dlqCommand } from './commands/dlq.ts';
import { forgetCommand } from './commands/forget.ts';
import { replayCommand } from './commands/replay.ts';
import { sendCommand } from './commands/send.ts';
import { statusCommand } from './commands/status.ts';
import { tokenCommand } from './commands/token.ts';
import { topicsCommand } from './commands/topics.ts';
import { verifyCommand } from './commands/verify.ts';

export interface CliStreams {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** 0: done; 1: a check failed or the work is incomplete; 2: wrong usage. */
export type ExitCode = 0 | 1 | 2;

const COMMANDS = [
  statusCommand,
  tokenCommand,
  sendCommand,
  botCommand,
  verifyCommand,
  topicsCommand,
  dlqCommand,
  replayCommand,
  forgetCommand,
];

const EPILOGUE = `
Exit codes: 0 success, 1 the check failed or the work is incomplete, 2 wrong usage.
Addresses are the embedded stack's; KAFKA_BROKERS, SCHEMA_REGISTRY_URL, CLICKHOUSE_URL, GATEWAY_PORT, TOPIC_PREFIX and
PARLEY_DATA_DIR change them. Manual: docs/cli.md.`;

async function* nothing(): AsyncGenerator<never> {}

/** The `parley` command: parses, runs, prints, and returns the exit code. Throws nothing. */
export async function runCli(
  args: readonly string[],
  given: Omit<CliContext, 'progress' | 'lines' | 'stdin'> & Partial<Pick<CliContext, 'lines' | 'stdin'>>,
  streams: CliStreams,
): Promise<ExitCode> {
  let exitCode: ExitCode = 0;
  const context = { lines: nothing, stdin: nothing, ...given };
  const report = ({ document, text, ok }: CommandResult, json: boolean) => {
    streams.out(`${json ? JSON.stringify(document) : text}\n`);
    exitCode = ok ? 0 : 1;
  };
  const progress = (line: string) => streams.err(`${line}\n`);
  const misuse = (message: string): never => {
    streams.err(`error: ${message}\n`);
    throw new CommanderError(2, 'parley.misuse', message);
  };
  try {
    await buildProgram({ context: { ...context, progress }, report, misuse }, streams).parseAsync([...args], {
      from: 'user',
    });
    return exitCode;
  } catch (error) {
    return reportFailure(error, args.includes('--json'), streams);
  }
}

function buildProgram(deps: CommandDeps, streams: CliStreams): Command {
  const program = new Command('parley')
    .description('Parley: chat messages in over WebSocket, exact numbers out of ClickHouse.')
    .version(VERSION)
    .addHelpText('after', EPILOGUE)
    .showHelpAfterError('(parley --help lists the commands)');
  for (const make of COMMANDS) program.addCommand(make(deps));
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
    command.exitOverride().configureOutput({ writeOut: streams.out, writeErr: streams.err });
  }
  return program;
}

/** Commander has printed its own errors already; with --json even a failure is one document on stdout. */
function reportFailure(error: unknown, json: boolean, streams: CliStreams): ExitCode {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (json) streams.out(`${JSON.stringify({ error: { code: 'USAGE', message: error.message } })}\n`);
    return 2;
  }
  const known = isParleyError(error);
  const message = messageOf(error);
  const remedy = known ? ERRORS[error.code].remedy : undefined;
  if (json) {
    streams.out(`${JSON.stringify({ error: { code: known ? error.code : 'UNEXPECTED', message, remedy } })}\n`);
  } else if (known) streams.err(`parley: ${error.code}: ${message}\n        ${remedy}\n`);
  else streams.err(`parley: ${error instanceof Error ? (error.stack ?? message) : message}\n`);
  return known && error.code === 'CONFIG_INVALID' ? 2 : 1;
}
