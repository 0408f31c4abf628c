import { setTimeout as delay } from 'node:timers/promises';
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import avro, { type Type } from 'avsc';
import { messageOf, ParleyError } from '../../core/errors.ts';
import type { OwnSchema } from './schema-files.ts';

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

async function withTimeout<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new RegistryUnavailableError(`${what}: no answer in ${TIMEOUT_MS} ms`)),
      TIMEOUT_MS,
    );
  });
  try {
    return await Promise.race([work, bound]);
  } finally {
    clearTimeout(timer);
  }
}

const statusOf = (error: unknown): number | undefined => (error as { status?: number }).status;

/** The schema registry: used at start and when an unknown schema id appears, never per record. */
export class RegistryClient {
  readonly #registry: SchemaRegistry;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
    this.#registry = new SchemaRegistry({ host: url, retry: { retries: 2, maxRetryTimeInSecs: 1 } });
  }

  /**
   * Registers a schema under FULL_TRANSITIVE and returns its id; the same schema gets the same id again.
   *
   * @throws {ParleyError} SCHEMA_INCOMPATIBLE, or REGISTRY_UNREACHABLE.
   */
  async register(subject: string, schema: OwnSchema): Promise<number> {
    const deadline = performance.now() + START_BOUND_MS;
    for (let attempt = 1; ; attempt++) {
      try {
        return await withTimeout(`registering ${subject}`, this.#register(subject, schema));
      } catch (error) {
        // The library sets the rule after it registered: of services that start at once some meet no rule yet and some
        // are told 409 for theirs, and one that dies in between leaves the subject without.
        const otherRule = (error as Error).name === 'ConfluentSchemaRegistryCompatibilityError';
        const refused = otherRule || statusOf(error) === 409;
        const mayTryAgain = refused ? attempt < REGISTER_ATTEMPTS : performance.now() < deadline;
        if (!mayTryAgain) {
          const code = refused ? 'SCHEMA_INCOMPATIBLE' : 'REGISTRY_UNREACHABLE';
          throw new ParleyError(code, `${subject} at ${this.#url}: ${messageOf(error)}`, { cause: error });
        }
        if (otherRule) await this.#setCompatibility(subject);
        await delay(Math.random() * REGISTER_RETRY_MS);
      }
    }
  }

  async #setCompatibility(subject: string): Promise<void> {
    const response = await fetch(`${this.#url}/config/${encodeURIComponent(subject)}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ compatibility: COMPATIBILITY.FULL_TRANSITIVE }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.body?.cancel();
  }

  async #register(subject: string, schema: OwnSchema): Promise<number> {
    const { id } = await this.#registry.register(
      { type: SchemaType.AVRO, schema: schema.json },
      { subject, compatibility: COMPATIBILITY.FULL_TRANSITIVE },
    );
    return id;
  }

  /**
   * The writer's type of a schema id, or undefined when the registry does not know it or it is no Avro schema.
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
      const response = await fetch(`${this.#url}/schemas/ids/${id}`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
      const text = await response.text();
      if (response.status === 404 || response.status === 422) return undefined;
      if (!response.ok) throw new Error(`the registry answered ${response.status}`);
      const { schema, schemaType = 'AVRO' } = JSON.parse(text) as { schema?: string; schemaType?: string };
      return schemaType === 'AVRO' ? schema : undefined;
    } catch (error) {
      throw new RegistryUnavailableError(`schema ${id}: ${messageOf(error)}`);
    }
  }

  async ping(signal: AbortSignal): Promise<void> {
    const response = await fetch(`${this.#url}/schemas/types`, { signal });
    await response.body?.cancel();
    if (!response.ok) throw new RegistryUnavailableError(`status ${response.status}`);
  }
}
