/** A source of numbers in [0, 1), as `Math.random`. */
export type Random = () => number;

/** Mulberry32: 32 bits of state, enough for latencies, faults and test data; the same seed gives the same sequence. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
