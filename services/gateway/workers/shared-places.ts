import type { BotIdentity } from '../../core/bot-identity.ts';
import { botNameOf, type ConnectionPlaces, type PlaceRefusal } from '../limits/connection-places.ts';
import type { Channel } from './channel.ts';
import type { EntryAnswer } from './shared-limits.ts';

const TIMEOUT_MS = 2_000;

interface Waiting {
  readonly identity: BotIdentity;
  readonly resolve: (refusal: PlaceRefusal | undefined) => void;
}

/**
 * Places that a worker asks the supervisor for: all handshakes of one turn of the event loop are one request. Where the
 * supervisor does not answer in time, only the worker's own bound holds.
 */
export class SharedPlaces implements ConnectionPlaces {
  readonly #channel: Channel;
  readonly #maxHere: number;
  readonly #onShare: (bot: string, n: number) => void;
  #taken = 0;
  #entering: Waiting[] = [];
  #leaving: BotIdentity[] = [];

  /**
   * @param maxHere connections that this worker may have.
   * @param onShare called, before a bot enters, with the number of workers by which its budget is divided.
   */
  constructor(channel: Channel, maxHere: number, onShare: (bot: string, n: number) => void) {
    this.#channel = channel;
    this.#maxHere = maxHere;
    this.#onShare = onShare;
  }

  get isFull(): boolean {
    return this.#taken >= this.#maxHere;
  }

  enter({ tenant, bot }: BotIdentity): Promise<PlaceRefusal | undefined> {
    if (this.isFull) return Promise.resolve('too_many_connections');
    this.#taken += 1;
    return new Promise((resolve) => {
      this.#schedule();
      this.#entering.push({ identity: { tenant, bot }, resolve });
    });
  }

  leave({ tenant, bot }: BotIdentity): void {
    this.#taken -= 1;
    this.#schedule();
    this.#leaving.push({ tenant, bot });
  }

  #schedule(): void {
    if (this.#entering.length + this.#leaving.length === 0) setImmediate(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    const [entering, leaving] = [this.#entering, this.#leaving];
    this.#entering = [];
    this.#leaving = [];
    if (leaving.length > 0) this.#channel.notify('leave', leaving);
    if (entering.length === 0) return;
    const identities = entering.map(({ identity }) => identity);
    const answers = await this.#channel.request<EntryAnswer[]>('enter', identities, TIMEOUT_MS).catch(() => []);
    for (const [index, { identity, resolve }] of entering.entries()) {
      const answer = answers[index];
      if (typeof answer === 'string') {
        this.#taken -= 1;
        resolve(answer);
        continue;
      }
      this.#onShare(botNameOf(identity), answer ?? 1);
      resolve(undefined);
    }
  }
}
