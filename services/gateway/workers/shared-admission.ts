import type { Admission, AdmissionRefusal, Entrant } from '../limits/admission.ts';
import type { Channel } from './channel.ts';

const TIMEOUT_MS = 2_000;

interface Waiting {
  readonly entrant: Entrant;
  readonly resolve: (refusal: AdmissionRefusal | undefined) => void;
}

/**
 * Places as a worker asks the supervisor for them: all handshakes of one turn of the event loop are one request. A
 * supervisor that does not answer in time lets everybody in: the worker's own bound still holds.
 */
export class SharedAdmission implements Admission {
  readonly #channel: Channel;
  readonly #maxHere: number;
  #taken = 0;
  #entering: Waiting[] = [];
  #leaving: Entrant[] = [];

  /** @param maxHere connections that this worker may have. */
  constructor(channel: Channel, maxHere: number) {
    this.#channel = channel;
    this.#maxHere = maxHere;
  }

  get isFull(): boolean {
    return this.#taken >= this.#maxHere;
  }

  enter({ tenant, bot }: Entrant): Promise<AdmissionRefusal | undefined> {
    if (this.isFull) return Promise.resolve('too_many_connections');
    this.#taken += 1;
    return new Promise((resolve) => {
      this.#schedule();
      this.#entering.push({ entrant: { tenant, bot }, resolve });
    });
  }

  leave({ tenant, bot }: Entrant): void {
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
    const refusals = await this.#channel
      .request<(AdmissionRefusal | null)[]>(
        'enter',
        entering.map(({ entrant }) => entrant),
        TIMEOUT_MS,
      )
      .catch(() => []);
    for (const [index, { resolve }] of entering.entries()) {
      const refusal = refusals[index] ?? undefined;
      if (refusal) this.#taken -= 1;
      resolve(refusal);
    }
  }
}
