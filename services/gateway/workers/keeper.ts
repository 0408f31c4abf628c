import type { BotIdentity } from '../../core/bot-identity.ts';
import { type AdmissionRefusal, botNameOf, type Places } from '../limits/admission.ts';
import { BotShares } from '../limits/bot-shares.ts';
import type { Ask, BudgetSource, Lease } from '../limits/budget.ts';
import type { Handlers } from './channel.ts';

/** Why there is no place, or by how many workers the budget of this bot is divided now. */
export type EntryAnswer = AdmissionRefusal | number;

export interface KeeperOptions {
  readonly places: Places;
  readonly budget: BudgetSource;
  /** Tells a worker that a bot's budget is now divided by `n`. */
  readonly tell: (worker: number, bot: string, n: number) => void;
}

/** Keeps, in the supervisor, what the workers share: places for connections, tenants' budgets, who holds which bot. */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #shares: BotShares;
  /** By worker, how many sockets of each bot it has: all of them end with it. */
  readonly #held = new Map<number, Map<string, { readonly entrant: BotIdentity; count: number }>>();

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#shares = new BotShares(options.tell);
  }

  /** What a worker may ask for. */
  handlersFor(worker: number): Handlers {
    this.#held.set(worker, new Map());
    return {
      enter: (entrants: readonly BotIdentity[]): EntryAnswer[] =>
        entrants.map((entrant) => this.#enter(worker, entrant)),
      leave: (entrants: readonly BotIdentity[]) => {
        for (const entrant of entrants) this.#leave(worker, entrant);
      },
      lease: (asks: readonly Ask[]): Promise<readonly Lease[]> => this.#options.budget.lease(asks),
    };
  }

  /** The worker is gone, and its sockets with it. */
  forget(worker: number): void {
    for (const { entrant, count } of this.#held.get(worker)?.values() ?? []) {
      for (let i = 0; i < count; i++) this.#leave(worker, entrant);
    }
    this.#held.delete(worker);
  }

  #enter(worker: number, entrant: BotIdentity): EntryAnswer {
    const held = this.#held.get(worker);
    if (!held) return 'too_many_connections';
    const refusal = this.#options.places.take(entrant);
    if (refusal) return refusal;
    const bot = botNameOf(entrant);
    const entry = held.get(bot);
    if (entry) entry.count += 1;
    else held.set(bot, { entrant, count: 1 });
    return this.#shares.hold(bot, worker);
  }

  #leave(worker: number, entrant: BotIdentity): void {
    const held = this.#held.get(worker);
    const bot = botNameOf(entrant);
    const entry = held?.get(bot);
    if (!held || !entry) return;
    if (entry.count > 1) entry.count -= 1;
    else held.delete(bot);
    this.#options.places.leave(entrant);
    this.#shares.release(bot, worker);
  }
}
