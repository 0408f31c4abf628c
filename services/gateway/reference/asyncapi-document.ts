/** The parts of `schemas/parley.asyncapi.yaml` from which the reference is made. */
export interface AsyncApiDocument {
  readonly info: { readonly title: string; readonly version: string };
  readonly channels: Readonly<Record<string, Channel>>;
  readonly operations: Readonly<Record<string, Operation>>;
  readonly components: {
    readonly messages: Readonly<Record<string, Message>>;
    readonly schemas: Readonly<Record<string, Schema>>;
  };
}

export interface Channel {
  readonly address: string;
  readonly title: string;
  readonly description: string;
  readonly messages: Readonly<Record<string, Reference>>;
  readonly 'x-codes'?: Codes;
  readonly 'x-close-codes'?: Readonly<Record<string, number>>;
  readonly 'x-handshake-refusals'?: Readonly<Record<string, number>>;
}

/** Why a code is given and what to do about it, by the code. */
type CodeTable = Readonly<Record<string, { readonly cause: string; readonly remedy: string }>>;
export type Codes = Readonly<Record<'final' | 'temporary' | 'close' | 'handshake', CodeTable>>;

interface Operation {
  readonly action: 'send' | 'receive';
  readonly title: string;
  readonly channel: Reference;
  readonly messages: readonly Reference[];
  readonly reply?: { readonly messages: readonly Reference[] };
}

export interface Message {
  readonly summary: string;
  readonly payload: Reference | object;
  readonly headers?: Schema;
  readonly examples?: readonly { readonly name: string; readonly payload: unknown }[];
}

/** As much of JSON Schema as the document uses. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly default?: unknown;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxProperties?: number;
  readonly 'x-environment'?: string;
}

interface Reference {
  readonly $ref: string;
}

/** The last part of a reference: the name of what it leads to. */
export const nameOf = ({ $ref }: Reference): string => $ref.slice($ref.lastIndexOf('/') + 1);

/** The target of a reference within the document. @throws when there is none. */
export function resolve<T>(document: AsyncApiDocument, { $ref }: Reference): T {
  let node: unknown = document;
  for (const part of $ref.slice(2).split('/')) node = (node as Record<string, unknown> | undefined)?.[part];
  if (node === undefined) throw new Error(`${$ref} leads nowhere`);
  return node as T;
}
