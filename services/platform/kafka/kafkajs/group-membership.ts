import { setTimeout as delay } from 'node:timers/promises';
import type { Consumer } from 'kafkajs';
import { type FetchPlan, fetchFrom } from './group-fetch.ts';
import type { GroupSession } from './group-session.ts';
import { ConsumerGroupClass, type InternalConsumerGroup } from './kafkajs-internals.ts';

/** Awaited by the member, unlike kafkajs' events, and so in order with its fetches. */
export interface MembershipHooks {
  /** Before every (re)join, while the old assignment is still ours. */
  readonly beforeJoin: () => Promise<void>;
  /** After every join, before the first fetch under the new assignment. */
  readonly joined: (session: GroupSession) => void;
  readonly plan: FetchPlan;
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
 * kafkajs reports joins by events that it does not await, without the generation, and rewinds every partition to its
 * committed offset. This puts awaited hooks around the join of each consumer that was started by {@link runMember}, and
 * has it fetch what the hooks ask for.
 */
function patchConsumerGroup(): void {
  if (patched) return;
  patched = true;
  const { connect, joinAndSync, fetch } = ConsumerGroupClass.prototype;

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
      // Partitions that were added are seen by every member before the join: else each rejoins once more when it sees them.
      await this.cluster.refreshMetadata().catch(() => undefined);
      await joinAndSync.call(this);
      const { memberId, generationId } = this;
      hooks.joined({ memberId, generationId, assigned: this.assigned() });
    })().finally(() => joining.delete(this));
    joining.set(this, join);
    return join;
  };

  ConsumerGroupClass.prototype.fetch = async function (this: InternalConsumerGroup, nodeId) {
    const hooks = hooksOf.get(this);
    if (!hooks) return await fetch.call(this, nodeId);
    await pace(hooks, nodeId);
    await fetchFrom(this, nodeId, hooks.plan);
    // All is taken over. After a fetch that brought it nothing kafkajs looks to its heartbeat.
    return [];
  };
}

const fetchedAtMs = new WeakMap<MembershipHooks, Map<string, number>>();

async function pace(hooks: MembershipHooks, nodeId: string): Promise<void> {
  const byNode = fetchedAtMs.get(hooks) ?? new Map<string, number>();
  fetchedAtMs.set(hooks, byNode);
  const waitMs = FETCH_EVERY_MS - (performance.now() - (byNode.get(nodeId) ?? Number.NEGATIVE_INFINITY));
  if (waitMs > 0) await delay(waitMs);
  byNode.set(nodeId, performance.now());
}

/**
 * `consumer.run` with hooks. The consumer must not restart itself after a crash (`restartOnFailure: () => false`):
 * only the group that it makes within this call gets the hooks.
 */
export function runMember(consumer: Consumer, hooks: MembershipHooks): Promise<void> {
  patchConsumerGroup();
  // kafkajs makes the group and calls its connect in the synchronous part of run().
  starting = hooks;
  try {
    return consumer.run({ autoCommit: false, eachBatch: async () => {} });
  } finally {
    starting = undefined;
  }
}
