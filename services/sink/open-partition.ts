import { ParleyError } from '../core/errors.ts';
import type { Claim } from '../platform/kafka/consume/claim.ts';
import { type CommitState, decodeCommit } from './intent.ts';
import { PartitionSink } from './partition-sink.ts';
import { lostItsStart, planRecovery } from './recovery.ts';
import type { SinkDeps } from './sink-deps.ts';

/** Makes the sink of a partition from what Kafka and ClickHouse know of it; rejects while ClickHouse is away. */
export async function openPartition(claim: Claim, deps: SinkDeps): Promise<PartitionSink> {
  const { topic, topicId, partition, committed, logStart, logEnd } = claim;
  const { store, log } = deps;
  const state = decodeCommit(committed.metadata, topicId, committed.offset);
  const [lastBegun, firstBegun] = await Promise.all([
    store.lastBegun(topicId, partition),
    store.firstBegun(topicId, partition),
  ]);
  const lostStart = lostItsStart(firstBegun, logStart);
  const recovery = planRecovery({ committed: { offset: committed.offset, state }, lastBegun, logStart, lostStart });
  const beyond = recovery.replays.find(({ to }) => to > logEnd);
  if (beyond) {
    throw new ParleyError(
      'OFFSET_BEYOND_LOG_END',
      `${topic}/${partition}: block [${beyond.from}, ${beyond.to}) was begun, the log ends at ${logEnd}`,
    );
  }
  const fields = { topic, topic_id: topicId, partition, committed: committed.offset, log_start: logStart };
  if (isSuspicious(state)) log.warn({ ...fields, state }, 'the commit is not one of ours: no intent is taken from it');
  log.info({ ...fields, state: state.kind, last_begun: lastBegun, recovery }, 'partition taken over');
  return new PartitionSink(claim, recovery, { seq: lastBegun?.seq ?? 0, layout: layoutOf(state) }, deps);
}

const layoutOf = (state: CommitState) => ('layout' in state ? state.layout : undefined);

const isSuspicious = (state: CommitState): boolean =>
  state.kind === 'other_topic' || (state.kind === 'unknown' && state.why !== 'empty');
