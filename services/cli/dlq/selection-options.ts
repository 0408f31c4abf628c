import { type Command, InvalidArgumentError } from 'commander';
import { type DurationMs, type EpochMs, epochMs } from '../../core/brands.ts';
import { systemClock } from '../../core/clock.ts';
import type { OffsetRange } from '../../core/offset-ranges.ts';
import { DLQ_REASONS } from '../../core/wire-codes.ts';
import { durationOption, instantOption, integerOption } from '../../operator/option-readers.ts';
import type { DeadLetter } from '../../replay/dead-letter-record.ts';
import type { Selection } from '../../replay/selection.ts';
import type { CommandDeps } from '../command.ts';

type Reason = DeadLetter['reason'];

/** The options that choose dead letters, as commander parses them. */
export interface SelectionOptions {
  readonly since?: DurationMs;
  readonly from?: EpochMs;
  readonly to?: EpochMs;
  readonly reason?: readonly Reason[];
  readonly tenant?: string;
  readonly bot?: string;
  readonly conversation?: string;
  readonly partition?: number;
  readonly offsets?: OffsetRange;
}

const REASONS: readonly Reason[] = [...DLQ_REASONS, 'unknown'];

function reasonOption(value: string, before: readonly Reason[] = []): Reason[] {
  const reason = REASONS.find((known) => known === value);
  if (!reason) throw new InvalidArgumentError(`Allowed are ${REASONS.join(', ')}.`);
  return [...before, reason];
}

function offsetsOption(value: string): OffsetRange {
  const [, first, last = first] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(value) ?? [];
  const range = { first: Number(first), last: Number(last) };
  if (!(range.first <= range.last)) throw new InvalidArgumentError('Allowed is 17 or 17-40.');
  return range;
}

export const withSelection = (command: Command): Command =>
  command
    .option('--since <duration>', 'failed within this time before now', durationOption)
    .option('--from <time>', 'failed at this time or later', instantOption)
    .option('--to <time>', 'failed before this time', instantOption)
    .option('--reason <code>', 'why it is there; may be repeated', reasonOption)
    .option('--tenant <id>', 'of this tenant')
    .option('--bot <id>', 'of this bot')
    .option('--conversation <id>', 'of this conversation')
    .option('--partition <n>', 'in this partition of chat.dlq', integerOption(0, 100_000))
    .option('--offsets <first-last>', 'and at these offsets there', offsetsOption);

/** @throws wrong usage when the options do not go together. */
export function selectionOf(options: SelectionOptions, misuse: CommandDeps['misuse']): Selection {
  const { since, from, to, reason, tenant, bot, conversation, partition, offsets } = options;
  if (since !== undefined && from !== undefined) misuse('give either --since or --from');
  if (offsets && partition === undefined) misuse('--offsets needs --partition');
  const start = since === undefined ? from : epochMs(systemClock.now() - since);
  if (start !== undefined && to !== undefined && start >= to) misuse('--to must be later than the start');
  return {
    ...(start !== undefined && { from: start }),
    ...(to !== undefined && { to }),
    ...(reason && { reasons: reason }),
    ...(tenant !== undefined && { tenant }),
    ...(bot !== undefined && { bot }),
    ...(conversation !== undefined && { conversation }),
    ...(partition !== undefined && { partition }),
    ...(offsets && { offsets }),
  };
}
