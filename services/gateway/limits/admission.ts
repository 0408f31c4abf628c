import type { BotIdentity } from '../../core/bot-identity.ts';

export type AdmissionRefusal = 'too_many_connections' | 'too_many_tenant_connections';

/** Grants a connection its place among all of this gateway's connections, and takes it back. */
export interface Admission {
  /** Whether nobody would be let in just now: known without asking anyone. */
  readonly isFull: boolean;
  /** Resolves with why there is no place; a place that was granted is given back by one `leave`. */
  enter(entrant: BotIdentity): Promise<AdmissionRefusal | undefined>;
  leave(entrant: BotIdentity): void;
}

export interface PlaceLimits {
  readonly connections: number;
  readonly tenantConnections: number;
}

/** Tenant and bot as one name: JSON, so that no two pairs look alike. */
export const botNameOf = ({ tenant, bot }: BotIdentity): string => JSON.stringify([tenant, bot]);

/** Counts the connections in all and by tenant. */
export class Places implements Admission {
  readonly #limits: PlaceLimits;
  readonly #byTenant = new Map<string, number>();
  #taken = 0;

  constructor(limits: PlaceLimits) {
    this.#limits = limits;
  }

  get isFull(): boolean {
    return this.#taken >= this.#limits.connections;
  }

  take({ tenant }: BotIdentity): AdmissionRefusal | undefined {
    if (this.isFull) return 'too_many_connections';
    const held = this.#byTenant.get(tenant) ?? 0;
    if (held >= this.#limits.tenantConnections) return 'too_many_tenant_connections';
    this.#byTenant.set(tenant, held + 1);
    this.#taken += 1;
    return undefined;
  }

  async enter(entrant: BotIdentity): Promise<AdmissionRefusal | undefined> {
    return this.take(entrant);
  }

  leave({ tenant }: BotIdentity): void {
    const held = this.#byTenant.get(tenant) ?? 0;
    if (held > 1) this.#byTenant.set(tenant, held - 1);
    else this.#byTenant.delete(tenant);
    this.#taken -= 1;
  }
}
