import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { isParleyError, messageOf, ParleyError } from '../../core/errors.ts';
import type { Coordinates } from '../../core/records.ts';
import { readSettings } from '../../operator/settings.ts';
import { formatTable } from '../../operator/text-table.ts';
import { type ReadLetter, rangesOf, readDeadLetters } from '../../replay/dead-letters.ts';
import { LetterSummary } from '../../replay/letter-summary.ts';
import { asksForEvent, type Selection } from '../../replay/selection.ts';
import { type CliContext, type CommandDeps, type CommandResult, newCommand, withAction } from '../command.ts';
import { describeLetter, letterDocument } from '../dlq/describe-letter.ts';
import { releaseCommand } from '../dlq/release.ts';
import { type SelectionOptions, selectionOf, withSelection } from '../dlq/selection-options.ts';
import { connectCodec, withDeadLetters } from '../dlq/source.ts';

export const dlqCommand = (deps: CommandDeps): Command =>
  new Command('dlq')
    .description('Dead letters: what failed, and why; and letting go of what waits instead of becoming one.')
    .showHelpAfterError('(parley dlq --help lists the commands)')
    .addCommand(listCommand(deps))
    .addCommand(showCommand(deps))
    .addCommand(releaseCommand(deps));

interface ListOptions extends SelectionOptions {
  readonly by: string;
}

const listCommand = (deps: CommandDeps): Command =>
  withAction<ListOptions>(
    withSelection(newCommand('list', 'Dead letters counted by reason, or by reason and bot.')).option(
      '--by <group>',
      'reason or bot',
      'reason',
    ),
    deps,
    async (options, context) => {
      if (options.by !== 'reason' && options.by !== 'bot') deps.misuse('--by is reason or bot');
      return list(selectionOf(options, deps.misuse), options.by === 'bot', context);
    },
  );

async function list(selection: Selection, byBot: boolean, { env, signal }: CliContext): Promise<CommandResult> {
  const settings = readSettings(env);
  const codec = byBot || asksForEvent(selection) ? await connectCodec(settings) : null;
  const summary = new LetterSummary();
  await withDeadLetters(settings, codec, async (source) => {
    for await (const page of readDeadLetters(source, selection, await rangesOf(source, selection))) {
      for (const read of page) summary.add(read);
      if (signal.aborted) break;
    }
  });
  const groups = summary.byReason();
  const bots = summary.byBot();
  const at = (ms: number) => new Date(ms).toISOString();
  const header = ['REASON', ...(byBot ? ['TENANT', 'BOT'] : []), 'COUNT', 'FIRST FAILED', 'LAST FAILED', 'LATEST'];
  const rows = byBot
    ? bots.map((b) => [b.reason, b.tenant_id, b.bot_id, b.count, at(b.first_failed_at), at(b.last_failed_at), b.latest])
    : groups.map((g) => [g.reason, g.count, at(g.first_failed_at), at(g.last_failed_at), g.latest]);
  const { total } = summary;
  const letters = total === 1 ? 'dead letter' : 'dead letters';
  return {
    document: { total, interrupted: signal.aborted, by_reason: groups, ...(byBot && { by_bot: bots }) },
    text: `${total > 0 ? `${formatTable(header, rows)}\n\n` : ''}${total.toLocaleString('en')} ${letters}.`,
    ok: !signal.aborted,
  };
}

interface ShowOptions {
  readonly origin?: string;
  readonly text?: boolean;
  readonly bytes?: boolean;
  readonly out?: string;
}

const showCommand = (deps: CommandDeps): Command =>
  withAction<ShowOptions>(
    newCommand('show', 'One dead letter: why it is there, its headers, and the event in it; no message text.')
      .argument('[place]', 'PARTITION/OFFSET in chat.dlq')
      .option('--origin <place>', 'the latest one of the record at TOPIC/PARTITION/OFFSET instead')
      .option('--text', "the message's text and metadata too")
      .option('--bytes', 'the original bytes too, as base64')
      .option('--out <file>', 'write the original bytes there'),
    deps,
    async (options, context, [place]) => {
      if ((place === undefined) === (options.origin === undefined)) deps.misuse('give PARTITION/OFFSET or --origin');
      const wanted = parsePlace(place ?? options.origin ?? '', options.origin !== undefined);
      return show(
        wanted ?? deps.misuse('a place is PARTITION/OFFSET, an origin TOPIC/PARTITION/OFFSET'),
        options,
        context,
      );
    },
  );

interface Place {
  /** Null: the place is in `chat.dlq`. */
  readonly topic: string | null;
  readonly partition: number;
  readonly offset: number;
}

function parsePlace(text: string, withTopic: boolean): Place | undefined {
  const [, topic, partition, offset] = /^(?:([\w.-]+)\/)?(\d{1,6})\/(\d{1,15})$/.exec(text) ?? [];
  if (partition === undefined || (topic !== undefined) !== withTopic) return undefined;
  return { topic: topic ?? null, partition: Number(partition), offset: Number(offset) };
}

async function show(place: Place, options: ShowOptions, { env, progress }: CliContext): Promise<CommandResult> {
  const settings = readSettings(env);
  let away: string | null = null;
  const codec = await connectCodec(settings).catch((error: unknown) => {
    if (!isParleyError(error)) throw error;
    progress(`${error.message}: the event is not decoded`);
    away = messageOf(error);
    return null;
  });
  const { topic, partition, offset } = place;
  // A letter stands on the partition of its record.
  const selection: Selection = { partition, ...(topic === null && { offsets: { first: offset, last: offset } }) };
  const found = await withDeadLetters(settings, codec, async (source) => {
    let latest: ReadLetter | undefined;
    for await (const page of readDeadLetters(source, selection, await rangesOf(source, selection))) {
      latest = page.findLast((read) => topic === null || isOf(read, { ...place, topic })) ?? latest;
    }
    return latest;
  });
  if (!found) {
    const where = topic === null ? `at ${partition}/${offset} of chat.dlq` : `of ${topic}/${partition}/${offset}`;
    return { document: { found: false }, text: `No dead letter ${where}.`, ok: false };
  }
  const letter = away === null ? found : { ...found, problem: away };
  const document = letterDocument(letter, { text: options.text === true, bytes: options.bytes === true });
  if (options.out !== undefined) await save(options.out, found.letter.record.value);
  return { document: { found: true, ...document }, text: describeLetter(document), ok: true };
}

const isOf = (
  { letter, event }: ReadLetter,
  { topic, partition, offset }: Pick<Coordinates, 'topic' | 'partition' | 'offset'>,
) =>
  [letter.failedRecord, event?.origin].some(
    (at) => at?.topic === topic && at.partition === partition && at.offset === offset,
  );

async function save(file: string, bytes: Buffer | null): Promise<void> {
  try {
    // Chats are private: the file is for its owner alone.
    await writeFile(file, bytes ?? Buffer.alloc(0), { mode: 0o600 });
  } catch (error) {
    throw new ParleyError('OUTPUT_UNWRITABLE', `${file}: ${messageOf(error)}`, { cause: error });
  }
}
