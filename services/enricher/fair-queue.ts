import { Fifo } from '../core/collections/fifo.ts';
import { Link, LinkedList } from '../core/collections/linked-list.ts';

/** What one source of a tenant has to do. */
class Line<Source, Item> extends Link {
  readonly source: Source;
  readonly items = new Fifo<Item>();

  constructor(source: Source) {
    super();
    this.source = source;
  }
}

/** What a tenant has to do: its sources in turn, the next one first. */
class Lane<Source, Item> extends Link {
  readonly tenant: string;
  readonly lines = new LinkedList<Line<Source, Item>>();
  readonly bySource = new Map<Source, Line<Source, Item>>();

  constructor(tenant: string) {
    super();
    this.tenant = tenant;
  }

  push(source: Source, item: Item): void {
    let line = this.bySource.get(source);
    if (!line) {
      line = new Line(source);
      this.bySource.set(source, line);
      this.lines.push(line);
    }
    line.items.push(item);
  }

  remove(line: Line<Source, Item>): void {
    this.lines.delete(line);
    this.bySource.delete(line.source);
  }
}

/**
 * Items in turn by tenant, and of a tenant in turn by source (its partitions), each in the order in which they came:
 * whoever has a lot to do waits for itself, and nobody waits for it. Round robin: the first one's turn is now, and
 * afterwards it goes to the end.
 */
export class FairQueue<Source, Item> {
  readonly #lanes = new LinkedList<Lane<Source, Item>>();
  readonly #byTenant = new Map<string, Lane<Source, Item>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(tenant: string, source: Source, item: Item): void {
    let lane = this.#byTenant.get(tenant);
    if (!lane) {
      lane = new Lane(tenant);
      this.#byTenant.set(tenant, lane);
      this.#lanes.push(lane);
    }
    lane.push(source, item);
    this.#size++;
  }

  shift(): { readonly source: Source; readonly item: Item } | undefined {
    const lane = this.#lanes.first;
    const line = lane?.lines.first;
    if (!lane || !line) return undefined;
    const item = line.items.shift() as Item;
    if (line.items.size === 0) lane.remove(line);
    else lane.lines.rotate();
    if (lane.lines.size === 0) this.#remove(lane);
    else this.#lanes.rotate();
    this.#size--;
    return { source: line.source, item };
  }

  /** Takes out all that came from a source, and gives it back. */
  remove(source: Source): Item[] {
    const removed: Item[] = [];
    for (const lane of [...this.#byTenant.values()]) {
      const line = lane.bySource.get(source);
      if (!line) continue;
      removed.push(...line.items);
      lane.remove(line);
      if (lane.lines.size === 0) this.#remove(lane);
    }
    this.#size -= removed.length;
    return removed;
  }

  #remove(lane: Lane<Source, Item>): void {
    this.#lanes.delete(lane);
    this.#byTenant.delete(lane.tenant);
  }
}
