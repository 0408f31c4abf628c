import type { FetchPosition } from './fetched-set.ts';

/**
 * The order of partitions in a fetch request. The broker fills its answer in this order up to the bytes of the whole fetch
 * (KIP-74), so that with more partitions than fit, the first ones alone would be read. Those that brought records longest ago
 * come first, as in Kafka's own client: with `n` full partitions of which `k` fit, each is read in one of ⌈n/k⌉ fetches.
 */
export class FetchOrder {
  /** By topic and partition, the number of the fetch that brought records last. */
  readonly #brought = new Map<string, number>();
  #fetches = 0;

  sort(positions: readonly FetchPosition[]): FetchPosition[] {
    const last = (position: FetchPosition) => this.#brought.get(placeOf(position)) ?? 0;
    return [...positions].sort((a, b) => last(a) - last(b));
  }

  brought(position: FetchPosition): void {
    this.#brought.set(placeOf(position), ++this.#fetches);
  }
}

const placeOf = ({ topic, partition }: FetchPosition) => `${topic}/${partition}`;
