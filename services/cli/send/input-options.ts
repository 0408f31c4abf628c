import { type Command, InvalidArgumentError, Option } from 'commander';
import { SPEAKERS, type Speaker } from '../../core/wire-codes.ts';
import { MAPPED_FIELDS, type MappedField } from '../../operator/chat-file/finish.ts';
import { SHAPE_NAMES } from '../../operator/chat-file/shapes.ts';

/** How the files of a run are read. */
export interface InputOptions {
  readonly as?: string;
  readonly map?: ReadonlyMap<MappedField, string>;
  readonly speaker?: ReadonlyMap<string, Speaker>;
}

const FIELDS = Object.keys(MAPPED_FIELDS) as MappedField[];

/** `text=body`; several with commas between, or the option again. */
const mapOption = (value: string, before: ReadonlyMap<MappedField, string> = new Map()) => {
  const pairs = value.split(',').map((pair) => {
    const [field = '', path = ''] = splitAt(pair, pair.indexOf('='));
    const known = FIELDS.find((name) => name === field);
    if (!known || path === '') {
      throw new InvalidArgumentError(`Allowed is OURS=THEIRS, as text=body; ours are ${FIELDS.join(', ')}.`);
    }
    return [known, path] as const;
  });
  return new Map([...before, ...pairs]);
};

/** `assistant=bot`; a name may hold anything, so the last `=` counts and there is one name an option. */
const speakerOption = (value: string, before: ReadonlyMap<string, Speaker> = new Map()) => {
  const [name = '', role = ''] = splitAt(value, value.lastIndexOf('='));
  const known = SPEAKERS.find((speaker) => speaker === role);
  if (!known || name === '') {
    throw new InvalidArgumentError(`Allowed is NAME=SPEAKER, as assistant=bot; speakers are ${SPEAKERS.join(', ')}.`);
  }
  return new Map([...before, [name.toLowerCase(), known]]);
};

const splitAt = (text: string, at: number): [string, string] => [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];

export const withInputOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--as <shape>', 'take the files for this shape instead of recognising it').choices([...SHAPE_NAMES]),
    )
    .option('--map <ours=theirs>', 'read a field from another one: text=body,conversation_id=chat.id', mapOption)
    .option('--speaker <name=speaker>', "who a file's speaker is: assistant=bot (may be repeated)", speakerOption);
