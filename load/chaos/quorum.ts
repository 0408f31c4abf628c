import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { folders } from '../../services/local/testing/breakable-stack.ts';

/** Kafka's own note of the last election that a node has seen. */
interface QuorumState {
  readonly leaderId: number;
  readonly leaderEpoch: number;
}

const STATE_FILE = 'log/__cluster_metadata-0/quorum-state';

/** The node that leads the quorum of controllers: of all that the nodes wrote down, the one of the latest epoch. */
export async function quorumLeader(dataDir: string): Promise<string> {
  const { kafka } = folders(dataDir);
  const nodes = (await readdir(kafka)).filter((name) => name.startsWith('kafka-'));
  const states = await Promise.all(
    nodes.map(async (node) => JSON.parse(await readFile(join(kafka, node, STATE_FILE), 'utf8')) as QuorumState),
  );
  const [latest] = states.filter(({ leaderId }) => leaderId > 0).sort((a, b) => b.leaderEpoch - a.leaderEpoch);
  if (!latest) throw new Error('no node has seen a leader of the quorum');
  return `kafka-${latest.leaderId}`;
}
