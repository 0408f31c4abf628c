import { type EpochMs, epochMs } from '../../core/brands.ts';
import { type Erasable, isBefore, subjectHashes } from '../../core/erasure.ts';
import type { ClickHouse } from './clickhouse.ts';

/** FUNCTION_THROW_IF_VALUE_IS_NON_ZERO */
const THROWN = 395;

/** Whether ClickHouse refused a block since its sender did not know every erasure (migration 9). */
export const isOutdated = (code: number | undefined): boolean => code === THROWN;

interface OfTenant {
  /** By the subject's hash, until when what it said is erased. */
  readonly untils: Map<string, EpochMs>;
  latest: EpochMs;
}

/**
 * Whose words are erased, as ClickHouse had it at one moment. About 200 bytes an erasure: 20 MB for 100,000. A message of
 * a tenant of which nothing is erased costs one look-up, and so does one of after the tenant's last erasure.
 */
export class ErasureList {
  /** Rows of the table that are in here, at least. */
  readonly rows: number;
  readonly #tenants: ReadonlyMap<string, OfTenant>;

  private constructor(rows: number, tenants: ReadonlyMap<string, OfTenant>) {
    this.rows = rows;
    this.#tenants = tenants;
  }

  static async read(client: ClickHouse): Promise<ErasureList> {
    // The number first: what is added in between is in the list, and the next block asks again.
    const [counted] = await client.query<{ n: number }>('SELECT count() AS n FROM erasures');
    const found = await client.query<{ tenant_id: string; subject: string; at: number }>(
      'SELECT tenant_id, subject, toUnixTimestamp64Milli(max(until)) AS at FROM erasures GROUP BY tenant_id, subject',
    );
    const tenants = new Map<string, OfTenant>();
    for (const { tenant_id, subject, at } of found) {
      const until = epochMs(Number(at));
      const known = tenants.get(tenant_id) ?? { untils: new Map(), latest: until };
      known.untils.set(subject, until);
      known.latest = epochMs(Math.max(known.latest, until));
      tenants.set(tenant_id, known);
    }
    return new ErasureList(Number(counted?.n ?? 0), tenants);
  }

  isErased(message: Erasable): boolean {
    const known = this.#tenants.get(message.tenant_id);
    if (!known || !isBefore(message, known.latest)) return false;
    return subjectHashes(message).some((hash) => {
      const until = known.untils.get(hash);
      return until !== undefined && isBefore(message, until);
    });
  }
}
