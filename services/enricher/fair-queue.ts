import { Fifo } from '../core/collections/fifo.ts';
import { Link, LinkedList } from '../core/collections/linked-list.ts';

/** Items of one tenant from one source. */
class SourceQueue<Source, Item> extends Link {
  readonly source: Source;
  readonly items = new Fifo<Item>();

  constructor(source: Source) {
    super();
    this.source = source;
  }
}

/** Items of one tenant: its sources in turn, the next one first. */
class TenantQueue<Source, Item> extends Link {
  readonly tenant: string;
  readonly sources = new LinkedList<SourceQueue<Source, Item>>();
  readonly bySource = new Map<Source, SourceQueue<Source, Item>>();

  constructor(tenant: string) {
    super();
    this.tenant = tenant;
  }

  push(source: Source, item: Item): void {
    let own = this.bySource.get(source);
    if (!own) {
      own = new SourceQueue(source);
      this.bySource.set(source, own);
      this.sources.push(own);
    }
    own.items.push(item);
  }

  remove(own: SourceQueue<Source, Item>): void {
    this.sources.delete(own);
    this.bySource.delete(own.source);
  }
}

/**
 * Items in turn by tenant, and of a tenant in turn by source (its partitions), each in the order in which they came:
 * a tenant with a lot to do waits for itself, and no other tenant waits for it. Round robin: the first one's turn is now, and
 * afterwards it goes to the end.
 */
export class FairQueue<Source, Item> {
  readonly #tenants = new LinkedList<TenantQueue<Source, Item>>();
  readonly #byTenant = new Map<string, TenantQueue<Source, Item>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(tenant: string, source: Source, item: Item): void {
    let queue = this.#byTenant.get(tenant);
    if (!queue) {
      queue = new TenantQueue(tenant);
      this.#byTenant.set(tenant, queue);
      this.#tenants.push(queue);
    }
    queue.push(source, item);
    this.#size++;
  }

  shift(): { readonly source: Source; readonly item: Item } | undefined {
    const queue = this.#tenants.first;
    const own = queue?.sources.first;
    if (!queue || !own) return undefined;
    const item = own.items.shift() as Item;
    if (own.items.size === 0) queue.remove(own);
    else queue.sources.rotate();
    if (queue.sources.size === 0) this.#remove(queue);
    else this.#tenants.rotate();
    this.#size--;
    return { source: own.source, item };
  }

  /** Takes out all items of a source. @returns them. */
  remove(source: Source): Item[] {
    const removed: Item[] = [];
    for (const queue of [...this.#byTenant.values()]) {
      const own = queue.bySource.get(source);
      if (!own) continue;
      removed.push(...own.items);
      queue.remove(own);
      if (queue.sources.size === 0) this.#remove(queue);
    }
    this.#size -= removed.length;
    return removed;
  }

  #remove(queue: TenantQueue<Source, Item>): void {
    this.#tenants.delete(queue);
    this.#byTenant.delete(queue.tenant);
  }
}
