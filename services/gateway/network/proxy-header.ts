import { isIP } from 'node:net';

/**
 * The header that a load balancer puts before a connection, versions 1 (text) and 2 (binary).
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'invalid'; readonly problem: string }
  /** `source` is undefined for the load balancer's own connections, its health checks. */
  | { readonly kind: 'complete'; readonly bytes: number; readonly source: string | undefined };

const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V2_HEAD_BYTES = 16;
/** Addresses take 216 bytes at most; the rest are extensions, of which a few hundred bytes are common. */
const MAX_V2_BYTES = 4_096;
const V1_START = Buffer.from('PROXY ');
/** The specification's own bound, line end included. */
const MAX_V1_BYTES = 107;

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' };
const invalid = (problem: string): ProxyHeader => ({ kind: 'invalid', problem });

/** @param bytes what has come of a connection, from its first byte on */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, V2_SIGNATURE)) return readV2(bytes);
  if (startsLike(bytes, V1_START)) return readV1(bytes);
  return invalid('it begins without a header of the PROXY protocol');
}

const startsLike = (bytes: Buffer, start: Buffer): boolean => {
  const length = Math.min(bytes.length, start.length);
  return bytes.subarray(0, length).equals(start.subarray(0, length));
};

function readV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_V1_BYTES).indexOf('\r\n');
  if (end < 0) return bytes.length < MAX_V1_BYTES ? INCOMPLETE : invalid('its header of version 1 has no end');
  const [, family, source = '', ...rest] = bytes.subarray(0, end).toString('latin1').split(' ');
  const complete = { kind: 'complete', bytes: end + 2 } as const;
  if (family === 'UNKNOWN') return { ...complete, source: undefined };
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : undefined;
  if (isIP(source) !== version || rest.length !== 3) return invalid('its header of version 1 names no address');
  return { ...complete, source };
}

function readV2(bytes: Buffer): ProxyHeader {
  if (bytes.length < V2_HEAD_BYTES) return INCOMPLETE;
  const [command = 0, family] = bytes.subarray(12, 14);
  const length = V2_HEAD_BYTES + bytes.readUInt16BE(14);
  if (command >> 4 !== 2 || (command & 0xf) > 1) return invalid('its header is of another version than 1 and 2');
  if (length > MAX_V2_BYTES) return invalid(`its header has ${length} bytes; allowed are ${MAX_V2_BYTES}`);
  if (bytes.length < length) return INCOMPLETE;
  const addresses = (command & 0xf) === 1 ? bytes.subarray(V2_HEAD_BYTES, length) : Buffer.alloc(0);
  return { kind: 'complete', bytes: length, source: sourceIn(addresses, family) };
}

/** TCP over IPv4 (`0x11`) and IPv6 (`0x21`); both addresses, then both ports. */
function sourceIn(addresses: Buffer, family: number | undefined): string | undefined {
  if (family === 0x11 && addresses.length >= 12) return addresses.subarray(0, 4).join('.');
  if (family !== 0x21 || addresses.length < 36) return undefined;
  return Array.from({ length: 8 }, (_, group) => addresses.readUInt16BE(group * 2).toString(16)).join(':');
}
