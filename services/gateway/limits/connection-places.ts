import type { BotIdentity } from '../../core/bot-identity.ts';

export type PlaceRefusal = 'too_many_connections' | 'too_many_tenant_connections' | 'too_many_bot_connections';

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
  readonly botConnections: number;
}

/** What {@link botNameOf} was made of. */
export const identityOf = (name: string): BotIdentity => {
  const [tenant, bot] = JSON.parse(name) as [string, string];
  return { tenant, bot };
};

/** Tenant and bot as one name: JSON, so that no two pairs look alike. */
export const botNameOf = ({ tenant, bot }: BotIdentity): string => JSON.stringify([tenant, bot]);

/** Counts the connections in all, by tenant and by bot. */
export class Places implements ConnectionPlaces {
  readonly #limits: PlaceLimits;
  readonly #byTenant = new Map<string, number>();
  readonly #byBot = new Map<string, number>();
  #taken = 0;

  constructor(limits: PlaceLimits) {
    this.#limits = limits;
  }

  get isFull(): boolean {
    return this.#taken >= this.#limits.connections;
  }

  take(identity: BotIdentity): PlaceRefusal | undefined {
    if (this.isFull) return 'too_many_connections';
    const { tenant } = identity;
    const ofTenant = this.#byTenant.get(tenant) ?? 0;
    if (ofTenant >= this.#limits.tenantConnections) return 'too_many_tenant_connections';
    const bot = botNameOf(identity);
    const ofBot = this.#byBot.get(bot) ?? 0;
    if (ofBot >= this.#limits.botConnections) return 'too_many_bot_connections';
    this.#byTenant.set(tenant, ofTenant + 1);
    this.#byBot.set(bot, ofBot + 1);
    this.#taken += 1;
    return undefined;
  }

  async enter(identity: BotIdentity): Promise<PlaceRefusal | undefined> {
    return this.take(identity);
  }

  leave(identity: BotIdentity): void {
    decrement(this.#byTenant, identity.tenant);
    decrement(this.#byBot, botNameOf(identity));
    this.#taken -= 1;
  }
}

function decrement(counts: Map<string, number>, name: string): void {
  const held = counts.get(name) ?? 0;
  if (held > 1) counts.set(name, held - 1);
  else counts.delete(name);
}
