import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, type Socket } from 'node:net';
import { sourceOf } from './source.ts';

/** Hops that are looked at: a longer list is a made-up one. */
const MAX_HOPS = 20;

/** Addresses and CIDR blocks (`10.0.0.0/8`, `2001:db8::/32`, `127.0.0.1`). @returns undefined when one is neither. */
export function parseBlocks(items: readonly string[]): BlockList | undefined {
  const blocks = new BlockList();
  for (const item of items) {
    const [address = '', prefix, ...more] = item.split('/');
    const version = isIP(address);
    const bits = version === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (version === 0 || more.length > 0 || !(length >= 0 && length <= bits)) return undefined;
    blocks.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
  }
  return blocks;
}

/** Headers in which proxies say whom they speak for; `forwarded` is RFC 7239's. */
export const SOURCE_HEADERS = ['x-forwarded-for', 'forwarded'] as const;
type SourceHeader = (typeof SOURCE_HEADERS)[number];

/**
 * Finds the source of a request behind reverse proxies: the last address of their header that is no trusted proxy. It is
 * believed only where a trusted proxy brought it, since anybody can send it; each proxy appends the address that it saw, so
 * it is read from the right. The other header is not looked at: a proxy passes it on as the client wrote it.
 */
export class TrustedProxies {
  readonly #blocks: BlockList;
  readonly #header: SourceHeader;
  /** Addresses that the PROXY protocol gave, by connection. */
  readonly #sources = new WeakMap<Socket, string>();

  constructor(blocks: BlockList, header: SourceHeader = 'x-forwarded-for') {
    this.#blocks = blocks;
    this.#header = header;
  }

  sourceOf(request: IncomingMessage): string {
    let address = this.addressOf(request.socket);
    const hops = hopsOf(request, this.#header);
    for (let hop = hops.length - 1; hop >= 0 && this.trusts(address); hop--) address = hops[hop];
    return sourceOf(address);
  }

  /** A connection's address, behind a load balancer that of its client. */
  addressOf(socket: Socket): string | undefined {
    return this.#sources.get(socket) ?? socket.remoteAddress;
  }

  /** Notes what the PROXY protocol said of a connection. */
  note(socket: Socket, source: string): void {
    this.#sources.set(socket, source);
  }

  trusts(address: string | undefined): boolean {
    if (address === undefined) return false;
    const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
    const version = isIP(mapped);
    return version !== 0 && this.#blocks.check(mapped, version === 4 ? 'ipv4' : 'ipv6');
  }
}

/** Addresses in the order of the headers, the nearest hop last; one that is no address ends the list. */
function hopsOf({ headers }: IncomingMessage, header: SourceHeader): string[] {
  const elements = [headers[header] ?? ''].flat().join(',').split(',');
  const items =
    header === 'forwarded'
      ? elements.map((element) => /(?:^|;)\s*for\s*=\s*("[^"]*"|[^;\s]*)/i.exec(element)?.[1] ?? '')
      : elements;
  const hops: string[] = [];
  for (const item of items.slice(-MAX_HOPS).reverse()) {
    const address = addressOf(item);
    if (address === undefined) break;
    hops.unshift(address);
  }
  return hops;
}

/** `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `"[2001:db8::1]:4711"`; obfuscated names (`unknown`, `_x`) are none. */
function addressOf(item: string): string | undefined {
  const text = item.trim().replace(/^"|"$/g, '');
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1];
  const withoutPort = bracketed ?? (/^[\d.]+:\d+$/.test(text) ? text.slice(0, text.indexOf(':')) : text);
  return isIP(withoutPort) === 0 ? undefined : withoutPort;
}
