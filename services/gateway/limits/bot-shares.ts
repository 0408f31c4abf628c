/**
 * Which workers hold sockets of a bot. A bot usually has one socket, and its whole budget is where that is; where it has
 * sockets on `n` workers, each has an n-th of it.
 */
export class BotShares {
  /** Worker and number of sockets in turn: one bot is on one worker, so an array is a third of a Map's memory. */
  readonly #holders = new Map<string, number[]>();
  readonly #onChange: (bot: string, workers: readonly number[]) => void;

  constructor(onChange: (bot: string, workers: readonly number[]) => void) {
    this.#onChange = onChange;
  }

  hold(bot: string, worker: number): void {
    const holders = this.#holders.get(bot);
    if (!holders) {
      this.#holders.set(bot, [worker, 1]);
      return;
    }
    const at = indexOf(holders, worker);
    if (at >= 0) {
      holders[at + 1] = (holders[at + 1] ?? 0) + 1;
      return;
    }
    holders.push(worker, 1);
    this.#tell(bot, holders);
  }

  release(bot: string, worker: number): void {
    const holders = this.#holders.get(bot);
    const at = holders ? indexOf(holders, worker) : -1;
    if (!holders || at < 0) return;
    holders[at + 1] = (holders[at + 1] ?? 0) - 1;
    if ((holders[at + 1] ?? 0) > 0) return;
    holders.splice(at, 2);
    if (holders.length === 0) this.#holders.delete(bot);
    else this.#tell(bot, holders);
  }

  #tell(bot: string, holders: readonly number[]): void {
    this.#onChange(
      bot,
      holders.filter((_, index) => index % 2 === 0),
    );
  }
}

function indexOf(holders: readonly number[], worker: number): number {
  for (let at = 0; at < holders.length; at += 2) if (holders[at] === worker) return at;
  return -1;
}
