import { ClickHouseException } from './exception.ts';

/** A data type as ClickHouse writes it: `Array(Nullable(String))`. */
export interface DataType {
  readonly name: string;
  /** What stands in its brackets, split at commas of its own level. */
  readonly args: readonly string[];
}

const OPENING = '(';
const CLOSING = ')';

/** Reads a type's name and the texts of its arguments; quoted texts may hold anything. */
export function parseType(text: string): DataType {
  const open = text.indexOf(OPENING);
  if (open < 0) return { name: text.trim(), args: [] };
  const args: string[] = [];
  let depth = 0;
  let from = open + 1;
  for (let at = open + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === "'" || char === '`') {
      for (at += 1; at < text.length && text[at] !== char; at += 1) if (text[at] === '\\') at += 1;
    } else if (char === OPENING) depth += 1;
    else if (char === CLOSING && depth > 0) depth -= 1;
    else if ((char === ',' && depth === 0) || char === CLOSING) {
      args.push(text.slice(from, at).trim());
      from = at + 1;
      // Something after the last bracket: this is no type, so its name is none either.
      if (char === CLOSING && at !== text.length - 1) return { name: text, args: [] };
    }
  }
  return { name: text.slice(0, open).trim(), args: args.filter((arg) => arg !== '') };
}

/** An element of a tuple may have a name before its type: `a UInt8`, `` `b c` Array(String)``. */
export function elementType(text: string): string {
  const named = /^(?:`(?:[^`\\]|\\.|``)*`|[A-Za-z_]\w*)\s+(?=[A-Z])/.exec(text);
  return named ? text.slice(named[0].length) : text;
}

/** Bytes of one value, where all values of the type have the same number. */
const FIXED: Readonly<Record<string, number>> = {
  ...{ Bool: 1, Int8: 1, UInt8: 1, Enum8: 1, Nothing: 1, Int16: 2, UInt16: 2, Enum16: 2, Date: 2, BFloat16: 2 },
  ...{ Int32: 4, UInt32: 4, Float32: 4, Date32: 4, DateTime: 4, DateTime32: 4, Time: 4, IPv4: 4, Decimal32: 4 },
  ...{ Int64: 8, UInt64: 8, Float64: 8, DateTime64: 8, Time64: 8, Decimal64: 8 },
  ...{ Int128: 16, UInt128: 16, UUID: 16, IPv6: 16, Decimal128: 16, Int256: 32, UInt256: 32, Decimal256: 32 },
};
const DECIMAL_BYTES: readonly (readonly [digits: number, bytes: number])[] = [
  [9, 4],
  [18, 8],
  [38, 16],
  [76, 32],
];
/** Types that are others by another name. */
const SYNONYMS: Readonly<Record<string, string>> = {
  Point: 'Tuple(Float64, Float64)',
  Ring: 'Array(Point)',
  LineString: 'Array(Point)',
  Polygon: 'Array(Ring)',
  MultiLineString: 'Array(LineString)',
  MultiPolygon: 'Array(Polygon)',
};

/** Thrown when a block goes on beyond the bytes that are there. */
export const INCOMPLETE = Symbol('incomplete');

/** Walks over bytes. Throws {@link INCOMPLETE} where they end. */
export class Cursor {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  skip(bytes: number): void {
    this.at += bytes;
    if (this.at > this.#bytes.length) throw INCOMPLETE;
  }

  varint(): number {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      this.skip(1);
      const byte = this.#bytes.readUInt8(this.at - 1);
      value += (byte & 127) * shift;
      if (byte < 128) return value;
      if (shift > 2 ** 49) throw new Error('a number of more than 8 bytes in a Native block');
    }
  }

  uint64(): number {
    this.skip(8);
    return Number(this.#bytes.readBigUInt64LE(this.at - 8));
  }

  text(): string {
    const length = this.varint();
    this.skip(length);
    return this.#bytes.toString('utf8', this.at - length, this.at);
  }
}

const unsupported = (type: string) =>
  new ClickHouseException(
    'NOT_IMPLEMENTED',
    `The type ${type} cannot be sent here in Native blocks with a client_protocol_version`,
  );

const inner = ({ name, args }: DataType, index = 0): string => args[index] ?? unsupportedArgument(name);
function unsupportedArgument(name: string): never {
  throw unsupported(name);
}

/** The type whose values an array-like type lists; undefined for other types. */
function listed(type: DataType): string | undefined {
  if (type.name === 'Array') return inner(type);
  if (type.name === 'Map') return `Tuple(${inner(type)}, ${inner(type, 1)})`;
  if (type.name === 'Nested') return `Tuple(${type.args.map(elementType).join(', ')})`;
  return undefined;
}

/** Skips what a column writes before its values: the version of its dictionary's keys, at any depth. */
export function skipPrefix(text: string, cursor: Cursor): void {
  const type = parseType(SYNONYMS[text] ?? text);
  const items = listed(type);
  if (items !== undefined) skipPrefix(items, cursor);
  else if (type.name === 'Tuple') for (const element of type.args) skipPrefix(elementType(element), cursor);
  else if (type.name === 'Nullable') skipPrefix(inner(type), cursor);
  else if (type.name === 'SimpleAggregateFunction') skipPrefix(inner(type, 1), cursor);
  else if (type.name === 'LowCardinality') cursor.skip(8);
}

/** Skips `rows` values of a column. */
export function skipValues(text: string, rows: number, cursor: Cursor): void {
  const type = parseType(SYNONYMS[text] ?? text);
  const fixed = bytesOf(type);
  const items = listed(type);
  if (fixed !== undefined) cursor.skip(rows * fixed);
  else if (items !== undefined) skipLists(items, rows, cursor);
  else if (type.name === 'String') for (let row = 0; row < rows; row += 1) cursor.skip(cursor.varint());
  else if (type.name === 'Nullable') {
    cursor.skip(rows);
    skipValues(inner(type), rows, cursor);
  } else if (type.name === 'Tuple') {
    if (type.args.length === 0) cursor.skip(rows);
    for (const element of type.args) skipValues(elementType(element), rows, cursor);
  } else if (type.name === 'SimpleAggregateFunction') skipValues(inner(type, 1), rows, cursor);
  else if (type.name === 'LowCardinality') skipLowCardinality(inner(type), rows, cursor);
  else throw unsupported(text);
}

/** Bytes of one value; undefined where they differ. */
function bytesOf(type: DataType): number | undefined {
  if (type.name.startsWith('Interval')) return 8;
  if (type.name === 'FixedString') return Number(inner(type));
  if (type.name !== 'Decimal') return FIXED[type.name];
  const digits = Number(inner(type));
  return DECIMAL_BYTES.find(([most]) => digits <= most)?.[1] ?? 32;
}

/** Ends of the lists, then all items in a row: the last end is their number. */
function skipLists(items: string, rows: number, cursor: Cursor): void {
  if (rows === 0) return;
  cursor.skip((rows - 1) * 8);
  skipValues(items, cursor.uint64(), cursor);
}

const HAS_OWN_KEYS = 0x200;

function skipLowCardinality(keyType: string, rows: number, cursor: Cursor): void {
  if (rows === 0) return;
  const flags = cursor.uint64();
  if (flags & HAS_OWN_KEYS) {
    const type = parseType(keyType);
    skipValues(type.name === 'Nullable' ? inner(type) : keyType, cursor.uint64(), cursor);
  }
  cursor.skip(cursor.uint64() * 2 ** (flags & 0xff));
}
