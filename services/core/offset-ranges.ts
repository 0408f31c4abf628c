/** Offsets `first..last`, both inclusive. */
export interface OffsetRange {
  readonly first: number;
  readonly last: number;
}

const sizeOf = ({ first, last }: OffsetRange): number => Math.max(last - first + 1, 0);

/** How many offsets the ranges hold; they must not overlap, as {@link mergeRanges} returns them. */
export const countOffsets = (ranges: readonly OffsetRange[]): number =>
  ranges.reduce((sum, range) => sum + sizeOf(range), 0);

/** The same offsets as ascending ranges that neither overlap nor touch. */
export function mergeRanges(ranges: readonly OffsetRange[]): OffsetRange[] {
  const merged: { first: number; last: number }[] = [];
  for (const { first, last } of [...ranges].filter((range) => sizeOf(range) > 0).sort((a, b) => a.first - b.first)) {
    const previous = merged.at(-1);
    if (previous && first <= previous.last + 1) previous.last = Math.max(previous.last, last);
    else merged.push({ first, last });
  }
  return merged;
}

/** What of the ranges lies in `[from, to)`. */
export const clipRanges = (ranges: readonly OffsetRange[], from: number, to: number): OffsetRange[] =>
  ranges
    .map(({ first, last }) => ({ first: Math.max(first, from), last: Math.min(last, to - 1) }))
    .filter((range) => sizeOf(range) > 0);

/** What of `[from, to)` the ranges leave out. */
export function holesIn(ranges: readonly OffsetRange[], from: number, to: number): OffsetRange[] {
  const holes: OffsetRange[] = [];
  let next = from;
  for (const { first, last } of clipRanges(mergeRanges(ranges), from, to)) {
    if (first > next) holes.push({ first: next, last: first - 1 });
    next = last + 1;
  }
  if (next < to) holes.push({ first: next, last: to - 1 });
  return holes;
}

/** The offsets that both hold, of ranges as {@link mergeRanges} returns them; linear in their number. */
export function commonRanges(some: readonly OffsetRange[], others: readonly OffsetRange[]): OffsetRange[] {
  const common: OffsetRange[] = [];
  for (let a = 0, b = 0; ; ) {
    const [one, other] = [some[a], others[b]];
    if (!one || !other) return common;
    const both = { first: Math.max(one.first, other.first), last: Math.min(one.last, other.last) };
    if (sizeOf(both) > 0) common.push(both);
    if (one.last < other.last) a++;
    else b++;
  }
}

/** `3`, `7-9`. */
export const formatRange = ({ first, last }: OffsetRange): string => (first === last ? `${first}` : `${first}-${last}`);
