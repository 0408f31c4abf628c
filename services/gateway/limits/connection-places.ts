import type { BotIdentity } from '../../core/bot-identity.ts';

export type PlaceRefusal = 'too_many_connections' | 'too_many_tenant_connections';

/** Counts connections against the limits of the whole gateway. */
export interface ConnectionPlaces {
  /** Whether every connection would be refused just now; known without a request to another process. */
  readonly isFull: boolean;
  /** Resolves with why there is no place, or undefined; each place taken is given back by one `leave`. */
  enter(identity: BotIdentity): Promise<PlaceRefusal | undefined>;
  leave(identity: BotIdentity): void;
}

export interface PlaceLimits {
  readonly connections: number;
  readonly tenantConnections: number;
}

/** Tenant and bot as one name: JSON, so that no two pairs look alike. */
export const botNameOf = ({ tenant, bot }: BotIdentity): string => JSON.stringify([tenant, bot]);

/** Counts the connections in all and by tenant. */
export class Places implements ConnectionPlaces {
  readonly #limits: PlaceLimits;
  readonly #byTenant = new Map<string, number>();
  #taken = 0;

  constructor(limits: PlaceLimits) {
    this.#limits = limits;
  }

  get isFull(): boolean {
    return this.#taken >= this.#limits.connections;
  }

  take({ tenant }: BotIdentity): PlaceRefusal | undefined {
    if (this.isFull) return 'too_many_connections';
    const held = this.#byTenant.get(tenant) ?? 0;
    if (held >= this.#limits.tenantConnections) return 'too_many_tenant_connections';
    this.#byTenant.set(tenant, held + 1);
    this.#taken += 1;
    return undefined;
  }

  async enter(identity: BotIdentity): Promise<PlaceRefusal | undefined> {
    return this.take(identity);
  }

  leave({ tenant }: BotIdentity): void {
    const held = this.#byTenant.get(tenant) ?? 0;
    if (held > 1) this.#byTenant.set(tenant, held - 1);
    else this.#byTenant.delete(tenant);
    this.#taken -= 1;
  }
}
