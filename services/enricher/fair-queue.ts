import { Fifo } from '../core/fifo.ts';

interface Lane<Source, Item> {
  readonly bySource: Map<Source, Fifo<Item>>;
}

/**
 * Items in turn by tenant, and of a tenant in turn by source (its partitions), each in the order in which they came:
 * whoever has a lot to do waits for itself, and nobody waits for it. Round robin over the keys of a Map, whose order is
 * that of insertion: the first one's turn is now, and afterwards it goes to the end.
 */
export class FairQueue<Source, Item> {
  readonly #byTenant = new Map<string, Lane<Source, Item>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(tenant: string, source: Source, item: Item): void {
    let lane = this.#byTenant.get(tenant);
    if (!lane) {
      lane = { bySource: new Map() };
      this.#byTenant.set(tenant, lane);
    }
    let items = lane.bySource.get(source);
    if (!items) {
      items = new Fifo();
      lane.bySource.set(source, items);
    }
    items.push(item);
    this.#size++;
  }

  shift(): { readonly source: Source; readonly item: Item } | undefined {
    for (const [tenant, lane] of this.#byTenant) {
      this.#byTenant.delete(tenant);
      for (const [source, items] of lane.bySource) {
        lane.bySource.delete(source);
        const item = items.shift() as Item;
        if (items.size > 0) lane.bySource.set(source, items);
        if (lane.bySource.size > 0) this.#byTenant.set(tenant, lane);
        this.#size--;
        return { source, item };
      }
    }
    return undefined;
  }

  /** Takes out all that came from a source, and gives it back. */
  remove(source: Source): Item[] {
    const removed: Item[] = [];
    for (const [tenant, { bySource }] of this.#byTenant) {
      removed.push(...(bySource.get(source) ?? []));
      bySource.delete(source);
      if (bySource.size === 0) this.#byTenant.delete(tenant);
    }
    this.#size -= removed.length;
    return removed;
  }
}
