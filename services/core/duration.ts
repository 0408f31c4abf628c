import { type DurationMs, durationMs } from './brands.ts';

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What {@link parseDuration} takes, in words, for messages. */
export const DURATION_FORMAT = 'a number with a unit out of ms, s, m, h, d, for example 90s or 1.5h';

/** `250ms`, `60s`, `1.5m`, `2h`, `7d`; `undefined` for anything else. */
export function parseDuration(text: string): DurationMs | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  if (!match) return undefined;
  const [, amount = '', unit = ''] = match;
  return durationMs(Math.round(Number(amount) * (UNITS_MS[unit] ?? Number.NaN)));
}

/** For people: `850 ms`, `12.3 s`, `4 min 5 s`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
