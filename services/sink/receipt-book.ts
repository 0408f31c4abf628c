import type { FactStore } from './fact-store.ts';
import type { BlockId } from './ingest-row.ts';
import type { SourcePartition, Taken } from './receipt-queries.ts';
import { ReceiptWindow } from './receipt-window.ts';

/** The source of a record, or the stretch of a gap. */
export interface SourceRange extends Taken, SourcePartition {}

const keyOf = ({ topicId, partition }: SourcePartition): string => `${topicId}/${partition}`;

/**
 * Which sources have a receipt: recent ones from memory, older ones from ClickHouse. There is a window for each source
 * partition that is at home here, of each source topic (chat.events, chat.replay, and either's successor should it be
 * made again).
 */
export class ReceiptBook {
  readonly #store: FactStore;
  readonly #windows = new Map<string, ReceiptWindow>();

  constructor(store: FactStore) {
    this.#store = store;
  }

  /**
   * What is known of these sources when a block begins.
   *
   * @param own the block, when it is a replay: its own receipts do not count.
   */
  async open(sources: readonly SourceRange[], own: BlockId | undefined): Promise<BlockReceipts> {
    // What an earlier replay left here counts receipts of this one's block.
    if (own) this.#windows.clear();
    const earlier = new Map<string, Taken[]>();
    for (const [key, ranges] of Map.groupBy(sources, keyOf)) {
      const [{ topicId, partition } = { topicId: '', partition: 0 }] = ranges;
      const at = { topicId, partition };
      const window = this.#windows.get(key) ?? (await this.#load(at, own));
      const below = ranges
        .filter(({ first, last }) => first === last && first < window.floor)
        .map(({ first }) => first);
      const found = below.length > 0 ? await this.#store.receiptsOf(at, below, own) : [];
      for (const gap of ranges.filter(({ first, last }) => first !== last)) {
        found.push(...(await this.#store.receiptsWithin(at, gap, own)));
      }
      earlier.set(key, found);
    }
    return new BlockReceipts(this.#windows, earlier);
  }

  /** The block is in: its receipts count from now on. */
  close(receipts: readonly SourceRange[]): void {
    for (const range of receipts) this.#windows.get(keyOf(range))?.add(range.first, range.last);
  }

  async #load(at: SourcePartition, own: BlockId | undefined): Promise<ReceiptWindow> {
    const { floor, taken } = await this.#store.recentReceipts(at, own);
    const window = new ReceiptWindow(floor);
    for (const { first, last } of taken) window.add(first, last);
    this.#windows.set(keyOf(at), window);
    return window;
  }
}

/** The receipts that stand while one block is made, with those that the block adds as it goes. */
export class BlockReceipts {
  readonly added: SourceRange[] = [];
  readonly #windows: ReadonlyMap<string, ReceiptWindow>;
  readonly #points = new Map<string, Set<number>>();
  readonly #ranges = new Map<string, Taken[]>();

  constructor(windows: ReadonlyMap<string, ReceiptWindow>, earlier: ReadonlyMap<string, readonly Taken[]>) {
    this.#windows = windows;
    for (const [key, found] of earlier) for (const each of found) this.#remember(key, each);
  }

  isTaken(source: SourcePartition, offset: number): boolean {
    const key = keyOf(source);
    if (this.#windows.get(key)?.has(offset) || this.#points.get(key)?.has(offset)) return true;
    return this.#ranges.get(key)?.some(({ first, last }) => first <= offset && offset <= last) ?? false;
  }

  /** The stretches of `first..last` that have no receipt yet. A gap can be written twice, and grow meanwhile. */
  free(range: SourceRange): Taken[] {
    const { first, last } = range;
    const key = keyOf(range);
    if (first === last) return this.isTaken(range, first) ? [] : [{ first, last }];
    const points = [...(this.#points.get(key) ?? [])].map((offset) => ({ first: offset, last: offset }));
    const taken = [...points, ...(this.#ranges.get(key) ?? [])].sort((a, b) => a.first - b.first);
    const free: Taken[] = [];
    let next = first;
    for (const each of taken) {
      if (each.last < next || each.first > last) continue;
      if (each.first > next) free.push({ first: next, last: each.first - 1 });
      next = each.last + 1;
    }
    if (next <= last) free.push({ first: next, last });
    return free;
  }

  take(range: SourceRange): void {
    this.added.push(range);
    this.#remember(keyOf(range), range);
  }

  #remember(key: string, { first, last }: Taken): void {
    if (first === last) {
      const points = this.#points.get(key) ?? new Set();
      this.#points.set(key, points.add(first));
    } else {
      this.#ranges.set(key, [...(this.#ranges.get(key) ?? []), { first, last }]);
    }
  }
}
