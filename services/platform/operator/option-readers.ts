import { InvalidArgumentError } from 'commander';
import type { DurationMs } from '../../core/brands.ts';
import { DURATION_FORMAT, parseDuration } from '../../core/duration.ts';

/** Readers for option values; a value that is not allowed is wrong usage. */
export const durationOption = (value: string): DurationMs => {
  const parsed = parseDuration(value);
  if (parsed === undefined) throw new InvalidArgumentError(`Allowed is ${DURATION_FORMAT}.`);
  return parsed;
};

export const integerOption =
  (min: number, max: number) =>
  (value: string): number => {
    const parsed = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (!(parsed >= min && parsed <= max)) throw new InvalidArgumentError(`Allowed is an integer, ${min} to ${max}.`);
    return parsed;
  };

export const numberOption =
  (min: number, max: number) =>
  (value: string): number => {
    const parsed = value.trim() === '' ? Number.NaN : Number(value);
    if (!(parsed >= min && parsed <= max)) throw new InvalidArgumentError(`Allowed is a number, ${min} to ${max}.`);
    return parsed;
  };
