import { quote } from './sql-statements.ts';

/** Tokens are forgotten by age as well there: as long as `chat.enriched` keeps its records. */
export const REPLICATED_WINDOW_S = 7 * 86_400;

const LEAD = String.raw`^((?:\s*--.*\n)*\s*`;
const NAME = String.raw`[\w.]+|\x60[^\x60]+\x60`;
const BEHIND_NAME = [
  `CREATE DATABASE IF NOT EXISTS (?:${NAME})`,
  `CREATE TABLE IF NOT EXISTS (?:${NAME})`,
  `CREATE MATERIALIZED VIEW IF NOT EXISTS (?:${NAME})`,
  `CREATE OR REPLACE VIEW (?:${NAME})`,
  `ALTER TABLE (?:${NAME})`,
].map((head) => new RegExp(`${LEAD}${head})`));
const RENAME = new RegExp(`${LEAD}RENAME TABLE[^;]*)$`);
const INSERT = new RegExp(`${LEAD}INSERT INTO )`);

/**
 * A statement of the migrations as a cluster of one shard gets it: run on every replica, with the engine's replicated kind,
 * which keeps its path and replica to the server's defaults (`default_replica_path`), and its own deduplication window. Data
 * that a statement moves are moved once, and replicated.
 *
 * Each form is held against the real engine's parser in a test; no cluster was at hand to run them on.
 *
 * @param cluster by the server's configuration; undefined: one server, and the statement as it is.
 * @throws {Error} for a statement of another form: it would be run on one replica alone.
 */
export function forCluster(statement: string, cluster: string | undefined): string {
  if (cluster === undefined || INSERT.test(statement)) return statement;
  const onCluster = ` ON CLUSTER ${quote(cluster)}`;
  const renamed = RENAME.exec(statement);
  if (renamed) return `${statement}${onCluster}`;
  const head = BEHIND_NAME.map((form) => form.exec(statement)?.[1]).find((found) => found !== undefined);
  if (head === undefined) throw new Error(`nothing says how this runs on a cluster: ${statement.slice(0, 80)}`);
  const rest = statement
    .slice(head.length)
    .replace(/\bENGINE = (\w*MergeTree)\b/, 'ENGINE = Replicated$1')
    .replace(
      /\bnon_replicated_deduplication_window = (\d+)/,
      `replicated_deduplication_window = $1, replicated_deduplication_window_seconds = ${REPLICATED_WINDOW_S}`,
    );
  return `${head}${onCluster}${rest}`;
}

/** An insert is acked by a majority of the replicas, one after another, so that a read of the next kind can ask for all of it. */
export const QUORUM_INSERT = { insert_quorum: 'auto', insert_quorum_parallel: 0 } as const;
/** What was acked is seen on whichever replica answers: recovery rests on that. */
export const SEQUENTIAL_READ = { select_sequential_consistency: '1' } as const;
