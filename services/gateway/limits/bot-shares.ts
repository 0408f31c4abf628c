/**
 * Which workers hold sockets of a bot. A bot usually has one socket, and its whole budget is where that is; where it has
 * sockets on `n` workers, each has an n-th of it.
 */
export class BotShares {
  /** Worker and number of sockets in turn: one bot is on one worker, so an array is a third of a Map's memory. */
  readonly #holders = new Map<string, number[]>();
  readonly #onChange: (worker: number, bot: string, n: number) => void;

  /** @param onChange called for every worker whose part of a bot's budget has changed to an `n`-th. */
  constructor(onChange: (worker: number, bot: string, n: number) => void) {
    this.#onChange = onChange;
  }

  /** @returns by how many workers the bot's budget is divided now; `onChange` is called for the others among them. */
  hold(bot: string, worker: number): number {
    const holders = this.#holders.get(bot);
    if (!holders) {
      this.#holders.set(bot, [worker, 1]);
      return 1;
    }
    const at = indexOf(holders, worker);
    if (at >= 0) holders[at + 1] = (holders[at + 1] ?? 0) + 1;
    else {
      this.#changed(bot, holders, holders.length / 2 + 1);
      holders.push(worker, 1);
    }
    return holders.length / 2;
  }

  release(bot: string, worker: number): void {
    const holders = this.#holders.get(bot);
    const at = holders ? indexOf(holders, worker) : -1;
    if (!holders || at < 0) return;
    holders[at + 1] = (holders[at + 1] ?? 0) - 1;
    if ((holders[at + 1] ?? 0) > 0) return;
    holders.splice(at, 2);
    if (holders.length === 0) this.#holders.delete(bot);
    else this.#changed(bot, holders, holders.length / 2);
  }

  #changed(bot: string, holders: readonly number[], n: number): void {
    for (let at = 0; at < holders.length; at += 2) this.#onChange(holders[at] as number, bot, n);
  }
}

function indexOf(holders: readonly number[], worker: number): number {
  for (let at = 0; at < holders.length; at += 2) if (holders[at] === worker) return at;
  return -1;
}
