import { closeAll } from '../../client/connect-all.ts';
import type { ParleyClient } from '../../client/parley-client.ts';
import type { Clock } from '../../core/clock.ts';
import type { CliContext } from '../command.ts';
import type { Sender } from './sender.ts';

const TICK_MS = 1_000;
/** The client tries without end; a command does not. */
const STALL_MS = 60_000;
const INTERRUPT_GRACE_MS = 10_000;

/** Shows progress once a second, and ends a run that no longer moves: what is unacked then counts as `closed`. */
export class Watch {
  readonly #timer: NodeJS.Timeout;
  #settled = -1;
  #movedAt: number;

  constructor(sender: Sender, bots: readonly ParleyClient[], { progress, signal }: CliContext, clock: Clock) {
    this.#movedAt = clock.monotonicMs();
    this.#timer = setInterval(() => {
      const { sent, acked, refused } = sender.counts;
      const settled = acked + Object.values(refused).reduce((sum, count) => sum + count, 0);
      if (settled !== this.#settled)
        progress(`${acked.toLocaleString('en')} acked of ${sent.toLocaleString('en')} sent`);
      if (settled !== this.#settled || sent === settled) this.#movedAt = clock.monotonicMs();
      this.#settled = settled;
      if (clock.monotonicMs() - this.#movedAt < STALL_MS) return;
      progress(`No answer from the gateway for ${STALL_MS / 1_000} s: giving up.`);
      this.stop();
      void closeAll(bots, 0);
    }, TICK_MS);
    signal.addEventListener('abort', () => {
      progress('Interrupted: waiting for the acks of what was sent.');
      void closeAll(bots, INTERRUPT_GRACE_MS);
    });
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
