import { setTimeout as delay } from 'node:timers/promises';
import type { Consumer, ConsumerRunConfig } from 'kafkajs';
import { ConsumerGroupClass, type InternalConsumerGroup } from './kafkajs-internals.ts';

/** What a member holds after a join: commits must carry exactly these, so that the broker refuses a zombie's. */
export interface GroupSession {
  readonly memberId: string;
  readonly generationId: number;
  readonly assigned: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
}

/** Awaited by the member, unlike kafkajs's events, and so in order with its fetches. */
export interface MembershipHooks {
  /** Before every (re)join, while the old assignment is still ours. */
  readonly beforeJoin: () => Promise<void>;
  /** After every join, before the first fetch under the new assignment. */
  readonly joined: (session: GroupSession) => Promise<void>;
  /** Instead of kafkajs's reset, which would commit -1 and wipe the metadata. */
  readonly outOfRange: (topic: string, partition: number) => Promise<void>;
}

/**
 * From one fetch of a broker to the next at least. A fetch that finds three records costs as much as one that finds a
 * hundred, here and in the broker, and without a pause records that come one by one are fetched one by one.
 */
const FETCH_EVERY_MS = 8;

const hooksOf = new WeakMap<object, MembershipHooks>();
const joining = new WeakMap<object, Promise<void>>();
let starting: MembershipHooks | undefined;
let patched = false;

/**
 * kafkajs tells of joins by events that nobody awaits, without the generation, and rewinds every partition to its
 * committed offset. This puts awaited hooks around the join of each consumer that was started by {@link runMember}.
 */
function patchConsumerGroup(): void {
  if (patched) return;
  patched = true;
  const { connect, joinAndSync, fetch, recoverFromOffsetOutOfRange } = ConsumerGroupClass.prototype;

  ConsumerGroupClass.prototype.connect = function (this: InternalConsumerGroup) {
    if (starting) hooksOf.set(this, starting);
    return connect.call(this);
  };

  ConsumerGroupClass.prototype.joinAndSync = function (this: InternalConsumerGroup) {
    const hooks = hooksOf.get(this);
    if (!hooks) return joinAndSync.call(this);
    // The fetchers of several brokers may ask for a rejoin at the same time: one does for all.
    const underWay = joining.get(this);
    if (underWay) return underWay;
    const join = (async () => {
      await hooks.beforeJoin();
      await joinAndSync.call(this);
      const { memberId, generationId } = this;
      await hooks.joined({ memberId, generationId, assigned: this.assigned() });
    })().finally(() => joining.delete(this));
    joining.set(this, join);
    return join;
  };

  ConsumerGroupClass.prototype.fetch = function (this: InternalConsumerGroup, nodeId) {
    const hooks = hooksOf.get(this);
    return hooks ? paced(hooks, nodeId, () => fetch.call(this, nodeId)) : fetch.call(this, nodeId);
  };

  ConsumerGroupClass.prototype.recoverFromOffsetOutOfRange = function (this: InternalConsumerGroup, error) {
    const hooks = hooksOf.get(this);
    return hooks ? hooks.outOfRange(error.topic, error.partition) : recoverFromOffsetOutOfRange.call(this, error);
  };
}

const fetchedAtMs = new WeakMap<MembershipHooks, Map<string, number>>();

async function paced<T>(hooks: MembershipHooks, nodeId: string, fetch: () => Promise<T>): Promise<T> {
  const byNode = fetchedAtMs.get(hooks) ?? new Map<string, number>();
  fetchedAtMs.set(hooks, byNode);
  const waitMs = FETCH_EVERY_MS - (performance.now() - (byNode.get(nodeId) ?? Number.NEGATIVE_INFINITY));
  if (waitMs > 0) await delay(waitMs);
  byNode.set(nodeId, performance.now());
  return await fetch();
}

/**
 * `consumer.run` with hooks. The consumer must not restart itself after a crash (`restartOnFailure: () => false`):
 * only the group that it makes within this call gets the hooks.
 */
export function runMember(consumer: Consumer, hooks: MembershipHooks, config: ConsumerRunConfig): Promise<void> {
  patchConsumerGroup();
  // kafkajs makes the group and calls its connect in the synchronous part of run().
  starting = hooks;
  try {
    return consumer.run(config);
  } finally {
    starting = undefined;
  }
}
