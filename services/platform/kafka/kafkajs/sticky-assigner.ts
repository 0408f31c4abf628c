import kafkajs, { type PartitionAssigner } from 'kafkajs';
import { assignSticky, type StickyMember } from '../sticky-assignor.ts';

const { MemberMetadata, MemberAssignment } = kafkajs.AssignerProtocol;

/** What the member holds at the moment, to be asked at every join. */
export type Owned = () => Pick<StickyMember, 'generation' | 'owned'>;

const NAME = 'parley-sticky';
const VERSION = 1;
/** A member that tells nothing readable holds nothing. */
const NOTHING: Pick<StickyMember, 'generation' | 'owned'> = { generation: -1, owned: {} };

/**
 * In the order of preference: the broker takes the first that all members know. Instances of releases before the sticky
 * one know kafkajs' round robin alone, so that a group of both agrees on that (docs/adr/0018).
 */
export const assigners = (owned: Owned): PartitionAssigner[] => [sticky(owned), kafkajs.PartitionAssigners.roundRobin];

const sticky =
  (owned: Owned): PartitionAssigner =>
  ({ cluster }) => ({
    name: NAME,
    version: VERSION,
    protocol: ({ topics }) => ({
      name: NAME,
      metadata: MemberMetadata.encode({ version: VERSION, topics, userData: Buffer.from(JSON.stringify(owned())) }),
    }),
    assign: async ({ members, topics }) => {
      const partitions = Object.fromEntries(
        topics.map((topic) => [topic, cluster.findTopicPartitionMetadata(topic).length]),
      );
      const assignment = assignSticky(
        members.map(({ memberId, memberMetadata }) => memberOf(memberId, memberMetadata)),
        partitions,
      );
      return [...assignment].map(([memberId, ofMember]) => ({
        memberId,
        memberAssignment: MemberAssignment.encode({
          version: VERSION,
          assignment: ofMember,
          userData: Buffer.alloc(0),
        }),
      }));
    },
  });

function memberOf(memberId: string, metadata: Buffer): StickyMember {
  const { topics, userData } = MemberMetadata.decode(metadata) ?? { topics: [], userData: Buffer.alloc(0) };
  return { memberId, topics, ...ownedOf(userData) };
}

function ownedOf(userData: Buffer): Pick<StickyMember, 'generation' | 'owned'> {
  try {
    const { generation, owned } = JSON.parse(userData.toString('utf8')) as Partial<StickyMember>;
    if (typeof generation !== 'number' || typeof owned !== 'object' || owned === null) return NOTHING;
    const isList = (value: unknown) => Array.isArray(value) && value.every(Number.isInteger);
    return { generation, owned: Object.fromEntries(Object.entries(owned).filter(([, value]) => isList(value))) };
  } catch {
    return NOTHING;
  }
}
