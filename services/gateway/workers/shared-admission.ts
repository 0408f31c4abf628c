import type { BotIdentity } from '../../core/bot-identity.ts';
import { type Admission, type AdmissionRefusal, botNameOf } from '../limits/admission.ts';
import type { Channel } from './channel.ts';
import type { EntryAnswer } from './keeper.ts';

const TIMEOUT_MS = 2_000;

interface Waiting {
  readonly entrant: BotIdentity;
  readonly resolve: (refusal: AdmissionRefusal | undefined) => void;
}

/**
 * Places as a worker asks the supervisor for them: all handshakes of one turn of the event loop are one request. A
 * supervisor that does not answer in time lets everybody in: the worker's own bound still holds.
 */
export class SharedAdmission implements Admission {
  readonly #channel: Channel;
  readonly #maxHere: number;
  readonly #onShare: (bot: string, n: number) => void;
  #taken = 0;
  #entering: Waiting[] = [];
  #leaving: BotIdentity[] = [];

  /**
   * @param maxHere connections that this worker may have.
   * @param onShare told, before a bot comes in, by how many workers its budget is divided.
   */
  constructor(channel: Channel, maxHere: number, onShare: (bot: string, n: number) => void) {
    this.#channel = channel;
    this.#maxHere = maxHere;
    this.#onShare = onShare;
  }

  get isFull(): boolean {
    return this.#taken >= this.#maxHere;
  }

  enter({ tenant, bot }: BotIdentity): Promise<AdmissionRefusal | undefined> {
    if (this.isFull) return Promise.resolve('too_many_connections');
    this.#taken += 1;
    return new Promise((resolve) => {
      this.#schedule();
      this.#entering.push({ entrant: { tenant, bot }, resolve });
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
    const entrants = entering.map(({ entrant }) => entrant);
    const answers = await this.#channel.request<EntryAnswer[]>('enter', entrants, TIMEOUT_MS).catch(() => []);
    for (const [index, { entrant, resolve }] of entering.entries()) {
      const answer = answers[index];
      if (typeof answer === 'string') {
        this.#taken -= 1;
        resolve(answer);
        continue;
      }
      this.#onShare(botNameOf(entrant), answer ?? 1);
      resolve(undefined);
    }
  }
}
