import { setTimeout as delay } from 'node:timers/promises';
import type { Consumer } from 'kafkajs';
import { messageOf } from '../../../core/errors.ts';
import type { Logger } from '../../logger.ts';
import type { Metrics } from '../../metrics.ts';
import { clientOf } from '../kafkajs/client.ts';
import { errorTypeOf } from '../kafkajs/error-type.ts';
import { type MembershipHooks, runMember } from '../kafkajs/group-membership.ts';
import type { Kafka } from '../kafkajs/kafka.ts';
import { assigners, type Owned } from '../kafkajs/sticky-assigner.ts';
import { refusalOf } from '../rights.ts';

export interface GroupMemberOptions {
  readonly kafka: Kafka;
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
  readonly settleMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface MemberHooks extends MembershipHooks {
  /** For the assignor: what is held now, and so to be kept. */
  readonly owned: Owned;
  /** The membership is over: nothing is held any more. A new one follows by itself. */
  readonly lost: () => void;
}

/** Between one consumer's crash and the next consumer: so long at least, doubled at each crash in a row. */
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 5_000;
/** A member for so long has come through: its next crash is the first of a row. */
const CAME_THROUGH_MS = 60_000;
/** A consumer that does not leave within this is left behind: its hooks are dead, and the broker drops it by its session. */
const LEAVE_BOUND_MS = 5_000;
/** New partitions are seen within this, and with it read. */
const METADATA_AGE_MS = 5_000;
/** Errors that an operator has to end, by Kafka's name. */
const REFUSED = /AUTHORIZATION_FAILED|SASL_AUTHENTICATION_FAILED|ILLEGAL_SASL_STATE|UNSUPPORTED_SASL_MECHANISM/;

type State =
  | { readonly kind: 'joining' }
  | { readonly kind: 'member'; readonly sinceMs: number }
  | { readonly kind: 'crashed'; readonly error: string }
  | { readonly kind: 'closed' };

/**
 * The membership of a group, through crashes: one kafkajs consumer at a time.
 *
 *     joining ──joined──▶ member ──rejoin, expelled──▶ joining        any ──crash──▶ crashed ──pause, new consumer──▶ joining
 *
 * A rejoin is kafkajs' own affair: its heartbeat hears of it, and of an expulsion, and joins once.
 */
export class GroupMember {
  readonly #options: GroupMemberOptions;
  readonly #hooks: MemberHooks;
  #consumer: Consumer | undefined;
  #state: State = { kind: 'joining' };
  #crashes = 0;
  #replacing: Promise<void> | undefined;
  readonly #closing = new AbortController();

  private constructor(options: GroupMemberOptions, hooks: MemberHooks) {
    this.#options = options;
    this.#hooks = hooks;
    options.metrics.gauge(
      'parley_group_member',
      '1 while this instance is a member of its consumer group',
      [],
      (gauge) => gauge.set(this.#state.kind === 'member' ? 1 : 0),
    );
  }

  /** @throws where Kafka cannot be reached at first. */
  static async start(options: GroupMemberOptions, hooks: MemberHooks): Promise<GroupMember> {
    const member = new GroupMember(options, hooks);
    await member.#runConsumer();
    return member;
  }

  /** @throws naming what keeps this instance out of the group. */
  assertMember(): void {
    const { groupId } = this.#options;
    if (this.#state.kind === 'member') return;
    const why = this.#state.kind === 'crashed' ? this.#state.error : this.#state.kind;
    throw new Error(`not a member of ${groupId}: ${why}`);
  }

  /** The group does not know the session's member any more: what it held is lost. kafkajs rejoins at its next heartbeat. */
  expelled(): void {
    if (this.#state.kind !== 'member') return;
    this.#state = { kind: 'joining' };
    this.#hooks.lost();
  }

  /** In the place of this consumer, which cannot go on, comes a new one; one replacement at a time. */
  replace(error: string): void {
    if (this.#state.kind === 'closed') return;
    if (this.#state.kind === 'member' && performance.now() - this.#state.sinceMs > CAME_THROUGH_MS) this.#crashes = 0;
    this.#state = { kind: 'crashed', error };
    this.#hooks.lost();
    this.#replacing ??= this.#replaceConsumer().finally(() => {
      this.#replacing = undefined;
    });
  }

  async close(): Promise<void> {
    this.#state = { kind: 'closed' };
    this.#closing.abort();
    await this.#replacing;
    await this.#leave();
  }

  async #runConsumer(): Promise<void> {
    const { kafka, groupId, topics, log, sessionTimeoutMs, settleMs } = this.#options;
    const consumer = clientOf(kafka).consumer({
      groupId,
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.floor(sessionTimeoutMs / 5),
      // A member hears of a rebalance with a heartbeat and settles first: the others wait for it.
      rebalanceTimeout: Math.max(10_000, 2 * settleMs + sessionTimeoutMs),
      partitionAssigners: assigners(this.#hooks.owned),
      allowAutoTopicCreation: false,
      metadataMaxAge: METADATA_AGE_MS,
      retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8, restartOnFailure: async () => false },
    });
    const isCurrent = () => this.#consumer === consumer;
    consumer.on(consumer.events.CRASH, ({ payload: { error } }) => {
      if (!isCurrent()) return;
      const type = errorTypeOf(error) ?? '';
      const code = REFUSED.test(type) ? { code: 'CONSUMER_REFUSED' } : {};
      const why = type === 'GROUP_AUTHORIZATION_FAILED' ? refusalOf(type, 'Read', 'group', groupId) : messageOf(error);
      log.error({ ...code, err: messageOf(error), type, group: groupId }, `the consumer crashed: ${why}`);
      this.replace(type ? `${type}: ${why}` : why);
    });
    this.#consumer = consumer;
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    await runMember(consumer, this.#hooksOf(isCurrent));
  }

  /** A consumer that was left behind neither fetches nor joins. */
  #hooksOf(isCurrent: () => boolean): MembershipHooks {
    const { beforeJoin, joined, plan } = this.#hooks;
    return {
      beforeJoin: async () => {
        if (!isCurrent()) throw new Error('this consumer was replaced');
        await beforeJoin();
        if (this.#state.kind === 'member') this.#state = { kind: 'joining' };
      },
      joined: (session) => {
        if (!isCurrent() || this.#state.kind === 'closed') return;
        this.#state = { kind: 'member', sinceMs: performance.now() };
        joined(session);
      },
      plan: { ...plan, positions: () => (isCurrent() ? plan.positions() : []) },
    };
  }

  async #replaceConsumer(): Promise<void> {
    const { log } = this.#options;
    while (this.#state.kind === 'crashed') {
      await this.#leave();
      const longest = Math.min(FIRST_PAUSE_MS * 2 ** this.#crashes++, MAX_PAUSE_MS);
      const pauseMs = longest * (0.5 + Math.random() / 2);
      await delay(pauseMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      if (this.#closing.signal.aborted) return;
      try {
        // A crash from here on is that of the new consumer.
        this.#state = { kind: 'joining' };
        await this.#runConsumer();
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        this.#state = { kind: 'crashed', error: messageOf(error) };
        log.warn({ err: messageOf(error) }, 'the consumer could not be rebuilt yet');
      }
    }
  }

  async #leave(): Promise<void> {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (!consumer) return;
    const left = consumer.disconnect().catch((error: unknown) => {
      this.#options.log.warn({ err: messageOf(error) }, 'a consumer did not leave its group in order');
    });
    await Promise.race([left, delay(LEAVE_BOUND_MS, undefined, { ref: false })]);
  }
}
