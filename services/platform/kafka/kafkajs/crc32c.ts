/** CRC-32C (Castagnoli), reflected. */
const POLYNOMIAL = 0x82f63b78;
const SLICES = 8;

/** `TABLES[slice * 256 + byte]`: the checksum of a byte followed by `slice` zero bytes. */
const TABLES = new Int32Array(SLICES * 256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  TABLES[byte] = crc;
}
for (let index = 256; index < SLICES * 256; index++) {
  const previous = TABLES[index - 256] as number;
  TABLES[index] = (previous >>> 8) ^ (TABLES[previous & 0xff] as number);
}

/**
 * The checksum of Kafka's record batches, eight bytes a step ("slicing-by-8", Kounavis and Berry, Intel, 2005): a third
 * of the time of one byte a step.
 */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  const table = (slice: number, byte: number) => TABLES[(slice << 8) | byte] as number;
  const at = (index: number) => bytes[index] as number;
  let crc = -1;
  let index = start;
  for (; index + SLICES <= end; index += SLICES) {
    const low = crc ^ (at(index) | (at(index + 1) << 8) | (at(index + 2) << 16) | (at(index + 3) << 24));
    crc =
      table(7, low & 0xff) ^
      table(6, (low >>> 8) & 0xff) ^
      table(5, (low >>> 16) & 0xff) ^
      table(4, low >>> 24) ^
      table(3, at(index + 4)) ^
      table(2, at(index + 5)) ^
      table(1, at(index + 6)) ^
      table(0, at(index + 7));
  }
  for (; index < end; index++) crc = table(0, (crc ^ at(index)) & 0xff) ^ (crc >>> 8);
  return ~crc >>> 0;
}
