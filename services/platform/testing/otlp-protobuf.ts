/** A field as it stands in a protobuf message: numbers as bigint, whatever has a length as bytes. */
type Field = bigint | Buffer;
type Fields = ReadonlyMap<number, readonly Field[]>;

/** Reads one message: https://protobuf.dev/programming-guides/encoding/, without groups. */
function readFields(bytes: Buffer): Fields {
  const fields = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError('a protobuf message ends early');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    if (![0, 1, 2, 5].includes(wire)) throw new RangeError(`protobuf wire type ${wire}`);
    const value =
      wire === 0
        ? varint()
        : wire === 1
          ? take(8).readBigUInt64LE()
          : wire === 5
            ? BigInt(take(4).readUInt32LE())
            : take(Number(varint()));
    const list = fields.get(tag >> 3) ?? [];
    list.push(value);
    fields.set(tag >> 3, list);
  }
  return fields;
}

const messages = (fields: Fields, field: number): Fields[] =>
  (fields.get(field) ?? []).map((bytes) => readFields(bytes as Buffer));
const bytesAt = (fields: Fields, field: number): Buffer => (fields.get(field)?.at(-1) as Buffer) ?? Buffer.alloc(0);
const textAt = (fields: Fields, field: number): string => bytesAt(fields, field).toString('utf8');
const hexAt = (fields: Fields, field: number): string => bytesAt(fields, field).toString('hex');
const numberAt = (fields: Fields, field: number): bigint => (fields.get(field)?.at(-1) as bigint) ?? 0n;

function anyValue(fields: Fields): object {
  if (fields.has(1)) return { stringValue: textAt(fields, 1) };
  if (fields.has(2)) return { boolValue: numberAt(fields, 2) === 1n };
  if (fields.has(3)) return { intValue: BigInt.asIntN(64, numberAt(fields, 3)).toString() };
  const bits = Buffer.alloc(8);
  bits.writeBigUInt64LE(numberAt(fields, 4));
  return { doubleValue: bits.readDoubleLE() };
}

const attributes = (fields: Fields, field: number) =>
  messages(fields, field).map((pair) => ({
    key: textAt(pair, 1),
    value: anyValue(messages(pair, 2)[0] ?? new Map()),
  }));

/** The same document that OTLP's JSON would be, of `ExportTraceServiceRequest`, as far as Parley's spans need it. */
export function decodeTraces(bytes: Buffer): unknown {
  return {
    resourceSpans: messages(readFields(bytes), 1).map((resource) => ({
      resource: { attributes: messages(resource, 1).flatMap((each) => attributes(each, 1)) },
      scopeSpans: messages(resource, 2).map((scope) => ({ spans: messages(scope, 2).map(spanOf) })),
    })),
  };
}

const spanOf = (span: Fields) => ({
  traceId: hexAt(span, 1),
  spanId: hexAt(span, 2),
  traceState: textAt(span, 3),
  parentSpanId: hexAt(span, 4),
  name: textAt(span, 5),
  kind: Number(numberAt(span, 6)),
  startTimeUnixNano: numberAt(span, 7).toString(),
  endTimeUnixNano: numberAt(span, 8).toString(),
  attributes: attributes(span, 9),
  events: messages(span, 11).map((event) => ({
    timeUnixNano: numberAt(event, 1).toString(),
    name: textAt(event, 2),
    attributes: attributes(event, 3),
  })),
  links: messages(span, 13).map((link) => ({ traceId: hexAt(link, 1), spanId: hexAt(link, 2) })),
  status: { code: Number(numberAt(messages(span, 15)[0] ?? new Map(), 3)) },
});
