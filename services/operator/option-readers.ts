import { InvalidArgumentError } from 'commander';
import { type DurationMs, type EpochMs, epochMs } from '../core/brands.ts';
import { DURATION_FORMAT, parseDuration } from '../core/duration.ts';

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

const INSTANT_FORMAT = '2026-05-01T10:00:00Z or milliseconds since the epoch';

function parseInstant(value: string): EpochMs | undefined {
  const ms = /^\d{12,14}$/.test(value) ? Number(value) : /^\d{4}-\d{2}/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : epochMs(ms);
}

export const instantOption = (value: string): EpochMs => {
  const parsed = parseInstant(value);
  if (parsed === undefined) throw new InvalidArgumentError(`Allowed is ${INSTANT_FORMAT}.`);
  return parsed;
};

/** A point in time, or a duration before `now()`. */
export const sinceOption =
  (now: () => EpochMs) =>
  (value: string): EpochMs => {
    const duration = parseDuration(value);
    const parsed = duration === undefined ? parseInstant(value) : epochMs(now() - duration);
    if (parsed === undefined) throw new InvalidArgumentError(`Allowed is ${DURATION_FORMAT}; or ${INSTANT_FORMAT}.`);
    return parsed;
  };

/** `3`, or `3,4,7`; the option may be repeated too. Ascending, each once. */
export const integerListOption =
  (min: number, max: number) =>
  (value: string, before: readonly number[] = []): number[] => {
    const read = integerOption(min, max);
    return [...new Set([...before, ...value.split(',').map(read)])].sort((a, b) => a - b);
  };
