import { Agent } from 'undici';
import type { ConfigOf } from '../../core/config.ts';
import { ParleyError } from '../../core/errors.ts';
import { basicAuth, splitCredentials } from '../../core/url-credentials.ts';
import type { REGISTRY_SPEC } from '../settings.ts';

/** Where the registry is, and what a client of it may do. */
export interface RegistryAccess {
  /** Base of the Confluent-compatible API, without credentials. */
  readonly url: string;
  /** Added to every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** PEM; absent: the system's authorities. */
  readonly ca?: string;
  /** For `fetch`, where `ca` is given. */
  readonly dispatcher?: Agent;
  /** Whether schemas may be registered and their compatibility set. */
  readonly mayRegister: boolean;
}

/** A registry that asks for nothing. */
export const openRegistry = (url: string): RegistryAccess => ({ url, headers: {}, mayRegister: true });

/** @throws {ParleyError} CONFIG_INVALID where credentials are given twice or by half. */
export function registryAccess(config: ConfigOf<typeof REGISTRY_SPEC>): RegistryAccess {
  const { SCHEMA_REGISTRY_TOKEN: token, SCHEMA_REGISTRY_CA: ca } = config;
  const { url, ...inUrl } = splitCredentials(config.SCHEMA_REGISTRY_URL);
  const username = config.SCHEMA_REGISTRY_USERNAME ?? inUrl.username;
  const password = config.SCHEMA_REGISTRY_PASSWORD ?? inUrl.password;
  const invalid = (message: string) => new ParleyError('CONFIG_INVALID', message);
  if ((username === undefined) !== (password === undefined)) {
    throw invalid('SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD belong together; allowed are both or none');
  }
  if (token !== undefined && username !== undefined) {
    throw invalid('SCHEMA_REGISTRY_TOKEN is set beside a user; allowed is one of them');
  }
  const authorization =
    token !== undefined ? `Bearer ${token}` : username !== undefined ? basicAuth(username, password ?? '') : undefined;
  return {
    url,
    headers: authorization === undefined ? {} : { authorization },
    mayRegister: config.SCHEMA_REGISTER,
    ...(ca !== undefined && { ca, dispatcher: new Agent({ connect: { ca } }) }),
  };
}
