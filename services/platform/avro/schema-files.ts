import { readFileSync } from 'node:fs';
import avro, { type Type } from 'avsc';

const load = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../schemas/${name}`, import.meta.url), 'utf8'));

/** A schema of ours: what we write, and what we read every other version as. */
export interface OwnSchema {
  /** Canonical JSON: Apicurio hashes the content as it receives it. */
  readonly json: string;
  readonly type: Type;
}

const own = (name: string): OwnSchema => {
  const schema = load(name);
  return { json: JSON.stringify(schema), type: avro.Type.forSchema(schema as never) };
};

export const EVENT_SCHEMA: OwnSchema = own('chat-event.avsc');
export const OUTCOME_SCHEMA: OwnSchema = own('chat-outcome.avsc');
