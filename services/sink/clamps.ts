import type { ChatOutcome } from '../core/records.ts';

/** Values are brought into their columns' ranges before a block is cut: one bad row must never fail a block. */
export const MAX_UINT16 = 65_535;
export const MAX_UINT32 = 2 ** 32 - 1;
/** DateTime64 ends with the year 2299; before the epoch no message was sent. */
const MAX_TIME_MS = Date.UTC(2299, 11, 31);

export const within = (value: number, max: number): number => (value >= 0 ? Math.min(Math.floor(value), max) : 0);
export const finite = (value: number): number => (Number.isFinite(value) ? value : 0);
export const timeWithin = (ms: number): number => within(ms, MAX_TIME_MS);

/** A score of -1 to 1 as the integer that rollups sum. */
export const scoreE4 = (score: number): number => Math.round(Math.max(-1, Math.min(1, finite(score))) * 10_000);

export const latencyOf = ({ enriched_at, received_at }: ChatOutcome): number =>
  within(enriched_at - received_at, MAX_UINT32);
