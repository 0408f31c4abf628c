import { type CryptoKey, calculateJwkThumbprint, exportJWK, type JWK, type KeyObject } from 'jose';

/** A key by its content (RFC 7638): a `kid` may be missing, or be used again. */
export type KeyId = string;

const known = new WeakMap<object, KeyId>();

/** The id of the key that verified a token. Computed once a key, since a key set keeps its imported keys. */
export async function keyIdOf(key: CryptoKey | KeyObject | Uint8Array): Promise<KeyId> {
  const found = known.get(key);
  if (found !== undefined) return found;
  const id = await calculateJwkThumbprint(await exportJWK(key));
  known.set(key, id);
  return id;
}

/** The ids of a set; a key that has none, being of an unknown kind, has signed no token of ours. */
export async function keyIdsOf(keys: readonly JWK[]): Promise<ReadonlySet<KeyId>> {
  const ids = await Promise.allSettled(keys.map((key) => calculateJwkThumbprint(key)));
  return new Set(ids.flatMap((id) => (id.status === 'fulfilled' ? [id.value] : [])));
}
