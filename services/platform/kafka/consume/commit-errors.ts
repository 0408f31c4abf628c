/**
 * What to do about a commit that Kafka refused, by its name of the error:
 *
 * - `expelled`: the group does not know the member any more, and never will again;
 * - `generation`: a rejoin has passed that is not known here yet; once it is, the claim has another session or none;
 * - `final`: stays refused until an operator changes a right or a setting;
 * - `passing`: tried again after a pause. So are errors of a later Kafka and of the network.
 */
export type CommitVerdict = 'expelled' | 'generation' | 'final' | 'passing';

const VERDICTS: ReadonlyMap<string, CommitVerdict> = new Map([
  ['UNKNOWN_MEMBER_ID', 'expelled'],
  ['FENCED_INSTANCE_ID', 'expelled'],
  ['ILLEGAL_GENERATION', 'generation'],
  ['OFFSET_METADATA_TOO_LARGE', 'final'],
  ['INVALID_COMMIT_OFFSET_SIZE', 'final'],
  ['INVALID_GROUP_ID', 'final'],
  ['TOPIC_AUTHORIZATION_FAILED', 'final'],
  ['GROUP_AUTHORIZATION_FAILED', 'final'],
  ['CLUSTER_AUTHORIZATION_FAILED', 'final'],
  ['SASL_AUTHENTICATION_FAILED', 'final'],
]);

export const verdictOf = (error: string): CommitVerdict => VERDICTS.get(error) ?? 'passing';

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 10_000;
const REFUSED_PAUSE_MS = 30_000;

/** Half of it at random: 100 ms, doubled each time, ten seconds at most; thirty where only an operator can help. */
export function pauseMs(verdict: CommitVerdict, failures: number): number {
  const longest = verdict === 'final' ? REFUSED_PAUSE_MS : Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS);
  return longest * (0.5 + Math.random() / 2);
}
