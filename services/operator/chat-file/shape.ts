import type { Speaker } from '../../core/wire-codes.ts';
import type { Json } from './json-value.ts';
import type { LeftOutReason } from './left-out.ts';
import type { Line } from './lines.ts';
import type { People } from './people.ts';
import type { Place } from './places.ts';

/** The beginning of a file: what its shape is recognised by. */
export type Sample =
  /** JSON Lines: the first values. */
  | { readonly kind: 'lines'; readonly records: readonly unknown[] }
  /** One JSON document, as far as it was read. */
  | { readonly kind: 'document'; readonly root: unknown }
  | { readonly kind: 'text'; readonly lines: readonly string[] };

/** Where a document's records are: paths of lists, as `$.messages.*`. Lines need none. */
export interface Layout {
  readonly lists: readonly string[];
}

/** A message as the file has it, to be brought into Parley's form. */
export interface Draft {
  /** What the values were read from: `--map` looks here. */
  readonly raw: Json;
  readonly id?: unknown;
  readonly conversation?: unknown;
  /** The file's word for who speaks. */
  readonly speaker?: unknown;
  /** Who speaks, where the shape itself says. */
  readonly role?: Speaker;
  /** Names of the speaker beside: `--speaker` may use them. */
  readonly names?: readonly unknown[];
  readonly text?: unknown;
  readonly time?: unknown;
  readonly user?: unknown;
  readonly channel?: unknown;
  readonly version?: unknown;
  readonly metadata?: unknown;
}

/** What a shape leaves out itself. */
export interface Omission {
  readonly reason: LeftOutReason;
  readonly problem: string;
}

export interface RecordContext {
  /** The objects around the record's list, outermost first. */
  readonly headers: readonly Json[];
  /** The file, or the file within an archive. */
  readonly path: string;
  /** Names this record in the run, where it has no id of its own. */
  readonly recordId: string;
  /** Names the file's conversation, where nothing in it does. */
  readonly fileConversation: string;
  /** Who its archive says that people are. */
  readonly people: People;
}

/** One way of writing chats down. */
export interface Shape {
  /** For `--as`. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** Undefined for a sample of another shape. */
  recognise(sample: Sample): Layout | undefined;
  /** The messages of one record, in order. */
  messages(record: unknown, context: RecordContext): Iterable<Draft | Omission>;
  /** For shapes of plain text: its records. */
  readonly records?: (lines: AsyncIterable<Line>, sample: readonly string[]) => AsyncIterable<TextRecord>;
}

interface TextRecord {
  readonly value: unknown;
  readonly place: Place;
}

export const isOmission = (item: Draft | Omission): item is Omission => 'reason' in item;
