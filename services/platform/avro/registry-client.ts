import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import avro, { type Type } from 'avsc';
import { type Response as FetchResponse, fetch } from 'undici';
import { isParleyError, messageOf, ParleyError } from '../../core/errors.ts';
import { within } from '../../core/within.ts';
import type { RegistryAccess } from './registry-access.ts';
import type { OwnSchema } from './schema-files.ts';

type Middleware = NonNullable<ConstructorParameters<typeof SchemaRegistry>[0]['middlewares']>[number];

/** The registry did not answer: an outage, not poison. Whoever needs a schema waits and tries again. */
export class RegistryUnavailableError extends Error {
  override readonly name = 'RegistryUnavailableError';
}

/** The library has no time-out of its own: a silent registry held every decode of an id for good. */
const TIMEOUT_MS = 3_000;
const REGISTER_ATTEMPTS = 4;
/** A cold registry on a busy machine takes its time. */
const START_BOUND_MS = 20_000;
const REGISTER_RETRY_MS = 500;
/** A registry that has just started may still be reading its journal, and a replica of it lag: waits before asking again. */
const UNKNOWN_RETRY_MS = [500, 1_500];
/** So many ids in as long: a flood of garbage, each with an id of its own, must not hold up those who ask one after another. */
const PATIENCE = { ids: 5, windowMs: 60_000 };

const withTimeout = <T>(what: string, work: Promise<T>): Promise<T> =>
  within(TIMEOUT_MS, work, () => {
    throw new RegistryUnavailableError(`${what}: no answer in ${TIMEOUT_MS} ms`);
  });

const withHeaders =
  (headers: Readonly<Record<string, string>>): Middleware =>
  () => ({ prepareRequest: async (next) => (await next()).enhance({ headers }) });

const refused = (url: string, status: number, what: string) =>
  new ParleyError('REGISTRY_REFUSED', `the registry at ${url} answered ${status} (${what})`);

const describe = (error: unknown): string => {
  const status = statusOf(error);
  return status === undefined ? messageOf(error) : `it answered ${status}: ${messageOf(error)}`;
};

const statusOf = (error: unknown): number | undefined => (error as { status?: number }).status;

/** The schema registry: used at start and when an unknown schema id appears, never per record. */
export class RegistryClient {
  readonly #registry: SchemaRegistry;
  readonly #access: RegistryAccess;
  /** When the last unknown ids were asked for again. */
  #waitedForAt: number[] = [];

  constructor(access: RegistryAccess) {
    this.#access = access;
    this.#registry = new SchemaRegistry({
      host: access.url,
      retry: { retries: 2, maxRetryTimeInSecs: 1 },
      middlewares: [withHeaders(access.headers)],
      ...(access.ca !== undefined && { agent: new HttpsAgent({ ca: access.ca }) }),
    });
  }

  /**
   * The schema's id. It is registered under FULL_TRANSITIVE, or looked up where nothing may be written; the same schema
   * gets the same id again.
   *
   * @throws {ParleyError} SCHEMA_INCOMPATIBLE, SCHEMA_NOT_REGISTERED, REGISTRY_REFUSED or REGISTRY_UNREACHABLE.
   */
  async idOf(subject: string, schema: OwnSchema): Promise<number> {
    const { url, mayRegister } = this.#access;
    const work = () => (mayRegister ? this.#register(subject, schema) : this.#lookUp(subject, schema));
    const deadline = performance.now() + START_BOUND_MS;
    for (let attempt = 1; ; attempt++) {
      try {
        return await withTimeout(`registering ${subject}`, work());
      } catch (error) {
        if (isParleyError(error)) throw error;
        const status = statusOf(error);
        if (status === 401 || status === 403)
          throw refused(url, status, mayRegister ? `registering ${subject}` : subject);
        // The library sets the rule after it registered: of services that start at once some meet no rule yet and some
        // are told 409 for theirs, and one that dies in between leaves the subject without.
        const otherRule = (error as Error).name === 'ConfluentSchemaRegistryCompatibilityError';
        const conflicts = otherRule || status === 409;
        const mayTryAgain = conflicts ? attempt < REGISTER_ATTEMPTS : performance.now() < deadline;
        if (!mayTryAgain) {
          const code = conflicts ? 'SCHEMA_INCOMPATIBLE' : 'REGISTRY_UNREACHABLE';
          throw new ParleyError(code, `${subject} at ${url}: ${describe(error)}`, { cause: error });
        }
        if (otherRule) await this.#setCompatibility(subject);
        await delay(Math.random() * REGISTER_RETRY_MS);
      }
    }
  }

  async #setCompatibility(subject: string): Promise<void> {
    const response = await this.#fetch(`/config/${encodeURIComponent(subject)}`, {
      method: 'PUT',
      body: JSON.stringify({ compatibility: COMPATIBILITY.FULL_TRANSITIVE }),
    });
    await response.body?.cancel();
  }

  async #lookUp(subject: string, schema: OwnSchema): Promise<number> {
    const response = await this.#fetch(`/subjects/${encodeURIComponent(subject)}`, {
      method: 'POST',
      body: JSON.stringify({ schema: schema.json, schemaType: 'AVRO' }),
    });
    const text = await response.text();
    if (response.status === 404) {
      throw new ParleyError(
        'SCHEMA_NOT_REGISTERED',
        `${subject} at ${this.#access.url} lacks the schema of this version`,
      );
    }
    if (!response.ok) throw Object.assign(new Error(`status ${response.status}`), { status: response.status });
    return (JSON.parse(text) as { id: number }).id;
  }

  async #fetch(
    path: string,
    init: { method?: string; body?: string; signal?: AbortSignal } = {},
  ): Promise<FetchResponse> {
    const { url, headers, dispatcher } = this.#access;
    return await fetch(`${url}${path}`, {
      ...init,
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json', ...headers },
      signal: init.signal ?? AbortSignal.timeout(TIMEOUT_MS),
      ...(dispatcher && { dispatcher }),
    });
  }

  async #register(subject: string, schema: OwnSchema): Promise<number> {
    const { id } = await this.#registry.register(
      { type: SchemaType.AVRO, schema: schema.json },
      { subject, compatibility: COMPATIBILITY.FULL_TRANSITIVE },
    );
    return id;
  }

  /**
   * The writer's type of a schema id, or undefined when the registry does not know it, or it is no Avro schema. The
   * first unknown ones within a minute are asked for three times over two seconds.
   *
   * @throws {RegistryUnavailableError}
   */
  async writerType(id: number): Promise<Type | undefined> {
    const schema = await this.#schema(id);
    try {
      return schema === undefined ? undefined : avro.Type.forSchema(JSON.parse(schema));
    } catch {
      // The registry's answer came, and cannot be made an Avro type.
      return undefined;
    }
  }

  /**
   * By a request of our own: the library shares one among all who ask for an id, so that on a connection that fell
   * silent it would hold every record of that schema for good, however often they ask again.
   */
  async #schema(id: number): Promise<string | undefined> {
    try {
      let response = await this.#fetch(`/schemas/ids/${id}`);
      const waits = response.status === 404 && this.#takePatience() ? UNKNOWN_RETRY_MS : [];
      for (const wait of waits) {
        if (response.status !== 404) break;
        await response.body?.cancel();
        await delay(wait);
        response = await this.#fetch(`/schemas/ids/${id}`);
      }
      const text = await response.text();
      if (response.status === 404 || response.status === 422) return undefined;
      if (!response.ok) throw new Error(`the registry answered ${response.status}`);
      const { schema, schemaType = 'AVRO' } = JSON.parse(text) as { schema?: string; schemaType?: string };
      return schemaType === 'AVRO' ? schema : undefined;
    } catch (error) {
      throw new RegistryUnavailableError(`schema ${id}: ${messageOf(error)}`);
    }
  }

  #takePatience(): boolean {
    const now = performance.now();
    this.#waitedForAt = this.#waitedForAt.filter((at) => at > now - PATIENCE.windowMs);
    if (this.#waitedForAt.length >= PATIENCE.ids) return false;
    this.#waitedForAt.push(now);
    return true;
  }

  async ping(signal: AbortSignal): Promise<void> {
    const response = await this.#fetch('/schemas/types', { signal });
    await response.body?.cancel();
    if (!response.ok) throw new RegistryUnavailableError(`status ${response.status}`);
  }
}
