import { Command } from 'commander';
import type { Environment } from '../core/config.ts';

/** What a command may use of its surroundings. */
export interface CliContext {
  readonly env: Environment;
  /** One line for people while the command works, on stderr. */
  readonly progress: (line: string) => void;
  /** Aborted by SIGINT or SIGTERM: finish what is begun, then report. */
  readonly signal: AbortSignal;
  /** What is typed, or comes through a pipe, line by line until its end or the signal. */
  readonly lines: () => AsyncIterable<string>;
  /** What comes through a pipe, as bytes. */
  readonly stdin: () => AsyncIterable<Buffer>;
  /** Asks the person at the terminal; absent where there is none. */
  readonly confirm?: (question: string) => Promise<boolean>;
}

/** What a command found, for machines and for people; `ok` false makes the exit code 1. */
export interface CommandResult {
  readonly document: unknown;
  readonly text: string;
  readonly ok: boolean;
}

/** Called by {@link withAction} for the program to print. */
type Report = (result: CommandResult, json: boolean) => void;

/** Everything that a command's file needs to define it. */
export interface CommandDeps {
  readonly context: CliContext;
  readonly report: Report;
  /** Ends a command whose options do not go together: exit code 2. */
  readonly misuse: (message: string) => never;
}

/** A command with `--json`; {@link withAction} gives it its work. */
export const newCommand = (name: string, description: string): Command =>
  new Command(name)
    .description(description)
    .option('--json', 'print one JSON document on stdout (progress and logs go to stderr)')
    .showHelpAfterError(`(parley ${name} --help shows what is allowed)`);

/** Runs `work` with the parsed options and the positional arguments. */
export const withAction = <Options>(
  command: Command,
  { context, report }: CommandDeps,
  work: (options: Options, context: CliContext, positional: readonly string[]) => Promise<CommandResult>,
): Command =>
  command.action(async () => {
    const options = command.opts<Options & { json?: boolean }>();
    report(await work(options, context, command.args), options.json === true);
  });
