import type { IncomingMessage } from 'node:http';
import { BlockList } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { parseBlocks, TrustedProxies } from './trusted-proxies.ts';

const blocks = parseBlocks(['10.0.0.0/8', 'fd00::/8', '127.0.0.1']) ?? new BlockList();
const proxies = { 'x-forwarded-for': new TrustedProxies(blocks), forwarded: new TrustedProxies(blocks, 'forwarded') };
/** Behind proxies that write the first of the headers. */
const sourceOf = (remoteAddress: string, headers: IncomingMessage['headers'] = {}) =>
  proxies[Object.keys(headers)[0] === 'forwarded' ? 'forwarded' : 'x-forwarded-for'].sourceOf({
    socket: { remoteAddress },
    headers,
  } as unknown as IncomingMessage);

describe('the source of a request', () => {
  it.each<[string, string, IncomingMessage['headers'], string]>([
    ['without a proxy is the connection’s', '192.0.2.1', {}, '192.0.2.1'],
    ['is not what a stranger says', '192.0.2.1', { 'x-forwarded-for': '10.9.9.9' }, '192.0.2.1'],
    ['behind a proxy is what the proxy saw', '10.0.0.1', { 'x-forwarded-for': '192.0.2.7' }, '192.0.2.7'],
    ['is read from the right', '10.0.0.1', { 'x-forwarded-for': '1.1.1.1, 192.0.2.7' }, '192.0.2.7'],
    ['skips every trusted hop', '127.0.0.1', { 'x-forwarded-for': '192.0.2.7, 10.1.1.1,10.2.2.2' }, '192.0.2.7'],
    ['is the proxy’s where it says nothing', '10.0.0.1', {}, '10.0.0.1'],
    ['ends at what is no address', '10.0.0.1', { 'x-forwarded-for': '192.0.2.7, unknown, 10.1.1.1' }, '10.1.1.1'],
    ['may have a port', '::ffff:10.0.0.1', { 'x-forwarded-for': '192.0.2.7:4711' }, '192.0.2.7'],
    [
      'comes from Forwarded alone, where proxies write that',
      '10.0.0.1',
      { forwarded: 'for=192.0.2.8;proto=https', 'x-forwarded-for': '1.1.1.1' },
      '192.0.2.8',
    ],
    [
      'comes from X-Forwarded-For alone, where proxies write that',
      '10.0.0.1',
      { 'x-forwarded-for': '192.0.2.9', forwarded: 'for=1.1.1.1' },
      '192.0.2.9',
    ],
    ['may be IPv6 in brackets', 'fd00::1', { forwarded: 'proto=http;for="[2001:db8:1:2::3]:80"' }, '2001:db8:1:2'],
    ['is nobody’s secret name', '10.0.0.1', { forwarded: 'for=_hidden' }, '10.0.0.1'],
  ])('%s', (_, remote, headers, source) => {
    expect(sourceOf(remote, headers)).toBe(source);
  });

  it('stays bounded whatever is sent', () => {
    expect(sourceOf('10.0.0.1', { 'x-forwarded-for': Array(5_000).fill('10.0.0.2').join(',') })).toBe('10.0.0.2');
  });
});

describe('the list of proxies', () => {
  it.each(['10.0.0.0/33', '10.0.0/8', 'proxy.example', '10.0.0.0/8/8', '::/129', '10.0.0.0/', ''])(
    'refuses %s',
    (item) => {
      expect(parseBlocks([item])).toBeUndefined();
    },
  );
});
