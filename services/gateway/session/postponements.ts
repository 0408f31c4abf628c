import type { TemporaryNackCode } from '../../core/wire-codes.ts';
import { overloadedText } from '../intake/intake.ts';
import type { Share } from '../limits/memory-shares.ts';
import type { HeldBy } from './flow-control.ts';

/** Why a message was not taken for now, and when to send it again. */
export interface Postponement {
  readonly code: TemporaryNackCode;
  /** The middle of what is drawn at random, so that messages that were refused together do not come back together. */
  readonly retryMs: number;
  readonly message: string;
}

const HELD_RETRY_MS = 1_000;

/** Longer than a draining session has left, as a rule: its client is to come back over another one. */
export const SHUTTING_DOWN: Postponement = {
  code: 'shutting_down',
  retryMs: 500,
  message: 'this connection is about to close',
};

/** A message behind a refused one of its conversation: as long as a client takes to send that one again. */
export const BEHIND_ANOTHER: Postponement = {
  code: 'overloaded',
  retryMs: 250,
  message: 'an earlier message of this conversation was refused and has not been sent again',
};

export const KAFKA_AWAY: Postponement = { code: 'unavailable', retryMs: 2_000, message: 'Kafka does not answer' };

export const NOT_ACKED: Postponement = {
  code: 'unavailable',
  retryMs: 2_000,
  message: 'Kafka did not answer in time; send it again with a higher attempt',
};

export const overloadedBy = (what: { readonly share?: Share }): Postponement => ({
  code: 'overloaded',
  retryMs: 500,
  message: overloadedText(what),
});

interface Announced {
  readonly max_in_flight: number;
  readonly bot_messages_per_s: number;
  readonly tenant_messages_per_s: number;
}

/** No limit let it through for too long. */
export function heldBackBy(heldBy: HeldBy, limits: Announced): Postponement {
  if (heldBy === 'in_flight') {
    const message = `${limits.max_in_flight} messages of this socket wait for their ack already`;
    return { code: 'too_many_in_flight', retryMs: HELD_RETRY_MS, message };
  }
  const whose =
    heldBy === 'bot'
      ? `this bot sends more than ${limits.bot_messages_per_s}`
      : `this tenant's bots send more than ${limits.tenant_messages_per_s}`;
  return { code: 'rate_limited', retryMs: HELD_RETRY_MS, message: `${whose} messages a second` };
}
