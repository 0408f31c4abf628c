/** A member of the group, and what it brings along. */
export interface StickyMember {
  readonly memberId: string;
  readonly topics: readonly string[];
  /** The generation of which it holds what it holds; -1 for a member that holds nothing. */
  readonly generation: number;
  /** Partitions by topic. */
  readonly owned: Readonly<Record<string, readonly number[]>>;
}

/** Partitions by topic, by member. */
export type Assignment = ReadonlyMap<string, Record<string, number[]>>;

/**
 * Gives each member of a group as many partitions of each topic as any other, give or take one, and of those as many as
 * possible that it has already (the idea of KIP-54; per topic, as live and replayed records are not alike).
 *
 * With P partitions on n members each has ⌊P/n⌋ or ⌈P/n⌉. A member that joins gets at most ⌈P/(n+1)⌉, and nothing else
 * moves; when one leaves, only what it had moves.
 *
 * @param partitions number of partitions by topic.
 */
export function assignSticky(
  members: readonly StickyMember[],
  partitions: Readonly<Record<string, number>>,
): Assignment {
  const assignment = new Map<string, Record<string, number[]>>(members.map(({ memberId }) => [memberId, {}]));
  for (const topic of Object.keys(partitions).sort()) {
    const readers = members.filter(({ topics }) => topics.includes(topic));
    if (readers.length > 0) assignTopic(topic, partitions[topic] ?? 0, readers, assignment);
  }
  return assignment;
}

function assignTopic(topic: string, count: number, members: readonly StickyMember[], assignment: Assignment): void {
  const kept = keptOf(topic, count, members);
  const keptBy = ({ memberId }: StickyMember) => kept.get(memberId) ?? [];
  const inAll = ({ memberId }: StickyMember) =>
    Object.values(assignment.get(memberId) ?? {}).reduce((sum, { length }) => sum + length, 0);
  // One partition more for those who have most of this topic, then for those who have least of the others.
  const byRight = [...members].sort(
    (a, b) => keptBy(b).length - keptBy(a).length || inAll(a) - inAll(b) || (a.memberId < b.memberId ? -1 : 1),
  );
  const [each, more] = [Math.floor(count / members.length), count % members.length];
  const free = new Set(Array.from({ length: count }, (_, partition) => partition));
  const shares = byRight.map((member, rank) => {
    const quota = rank < more ? each + 1 : each;
    const share = keptBy(member).slice(0, quota);
    for (const partition of share) free.delete(partition);
    return { member, quota, share };
  });
  for (const { member, quota, share } of shares) {
    for (const partition of free) {
      if (share.length >= quota) break;
      share.push(partition);
      free.delete(partition);
    }
    const entry = assignment.get(member.memberId);
    if (entry && share.length > 0) entry[topic] = share.sort((a, b) => a - b);
  }
}

/** What each member has, ascending. A partition that two speak of belongs to the one of the later generation. */
function keptOf(topic: string, count: number, members: readonly StickyMember[]): Map<string, number[]> {
  const owners = new Map<number, StickyMember>();
  for (const member of members) {
    for (const partition of member.owned[topic] ?? []) {
      const other = owners.get(partition);
      const exists = Number.isInteger(partition) && partition >= 0 && partition < count;
      if (exists && (!other || isLater(member, other))) owners.set(partition, member);
    }
  }
  const kept = new Map<string, number[]>();
  for (const [partition, { memberId }] of [...owners].sort(([a], [b]) => a - b)) {
    kept.set(memberId, [...(kept.get(memberId) ?? []), partition]);
  }
  return kept;
}

const isLater = (a: StickyMember, b: StickyMember): boolean =>
  a.generation > b.generation || (a.generation === b.generation && a.memberId < b.memberId);
