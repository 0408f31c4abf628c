import type { BotIdentity } from '../../core/bot-identity.ts';
import { BotShares } from '../limits/bot-shares.ts';
import type { Ask, BudgetSource, Lease } from '../limits/budget.ts';
import { botNameOf, type PlaceRefusal, type Places } from '../limits/connection-places.ts';
import type { Handlers } from './channel.ts';

/** Either why there is no place, or by how many workers the bot's budget is divided now. */
export type EntryAnswer = PlaceRefusal | number;

export interface SharedLimitsOptions {
  readonly places: Places;
  readonly budget: BudgetSource;
  /** Notifies a worker that a bot's budget is now divided by `n`. */
  readonly notify: (worker: number, bot: string, n: number) => void;
}

/** The supervisor's side of the limits that workers share: connection places, tenants' budgets, each bot's workers. */
export class SharedLimits {
  readonly #options: SharedLimitsOptions;
  readonly #shares: BotShares;
  /** By worker, how many sockets of each bot it has: all of them end with it. */
  readonly #held = new Map<number, Map<string, { readonly identity: BotIdentity; count: number }>>();

  constructor(options: SharedLimitsOptions) {
    this.#options = options;
    this.#shares = new BotShares(options.notify);
  }

  /** The requests that one worker may make. */
  handlersFor(worker: number): Handlers {
    this.#held.set(worker, new Map());
    return {
      enter: (identities: readonly BotIdentity[]): EntryAnswer[] =>
        identities.map((identity) => this.#enter(worker, identity)),
      leave: (identities: readonly BotIdentity[]) => {
        for (const identity of identities) this.#leave(worker, identity);
      },
      lease: (asks: readonly Ask[]): Promise<readonly Lease[]> => this.#options.budget.lease(asks),
    };
  }

  /** The worker is gone, and its sockets with it. */
  forget(worker: number): void {
    for (const { identity, count } of this.#held.get(worker)?.values() ?? []) {
      for (let i = 0; i < count; i++) this.#leave(worker, identity);
    }
    this.#held.delete(worker);
  }

  #enter(worker: number, identity: BotIdentity): EntryAnswer {
    const held = this.#held.get(worker);
    if (!held) return 'too_many_connections';
    const refusal = this.#options.places.take(identity);
    if (refusal) return refusal;
    const bot = botNameOf(identity);
    const entry = held.get(bot);
    if (entry) entry.count += 1;
    else held.set(bot, { identity, count: 1 });
    return this.#shares.hold(bot, worker);
  }

  #leave(worker: number, identity: BotIdentity): void {
    const held = this.#held.get(worker);
    const bot = botNameOf(identity);
    const entry = held?.get(bot);
    if (!held || !entry) return;
    if (entry.count > 1) entry.count -= 1;
    else held.delete(bot);
    this.#options.places.leave(identity);
    this.#shares.release(bot, worker);
  }
}
