import { describe, expect, it } from '@jest/globals';
import { readProxyHeader } from './proxy-header.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const v2 = (rest: string) => Buffer.from(SIGNATURE + rest.replaceAll(' ', ''), 'hex');
const IPV4 = 'c0000207 0a000001 1f90 0050';
const IPV6 = '20010db8000100020000000000000003 fd000000000000000000000000000001 1f90 0050';

describe('a header of the PROXY protocol', () => {
  it.each<[string, Buffer, string | undefined]>([
    ['version 1 over IPv4', Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 8080 80\r\n'), '192.0.2.7'],
    ['version 1 over IPv6', Buffer.from('PROXY TCP6 2001:db8::3 fd00::1 8080 80\r\n'), '2001:db8::3'],
    ['version 1 of a health check', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
    ['version 2 over IPv4', v2(`21 11 000c ${IPV4}`), '192.0.2.7'],
    ['version 2 over IPv6', v2(`21 21 0024 ${IPV6}`), '2001:db8:1:2:0:0:0:3'],
    ['version 2 with extensions', v2(`21 11 0013 ${IPV4} 04 0004 00000000`), '192.0.2.7'],
    ['version 2 of a health check', v2('20 00 0000'), undefined],
    ['version 2 over a UNIX socket', v2(`21 31 00d8 ${'00'.repeat(216)}`), undefined],
  ])('%s is read once it is whole, and nothing behind it', (_, header, source) => {
    for (let length = 0; length < header.length; length++) {
      expect(readProxyHeader(header.subarray(0, length))).toEqual({ kind: 'incomplete' });
    }
    const whole = { kind: 'complete', bytes: header.length, source };
    expect(readProxyHeader(header)).toEqual(whole);
    expect(readProxyHeader(Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\n\r\n')]))).toEqual(whole);
  });

  it.each([
    ['none', 'GET /v1/stream HTTP/1.1\r\n'],
    ['a name for an address', 'PROXY TCP4 proxy.example 10.0.0.1 8080 80\r\n'],
    ['the other family', 'PROXY TCP6 192.0.2.7 10.0.0.1 8080 80\r\n'],
    ['too few fields', 'PROXY TCP4 192.0.2.7\r\n'],
    ['no end', `PROXY TCP4 ${'1'.repeat(200)}`],
    ['version 3', v2(`31 11 000c ${IPV4}`)],
    ['an unknown command', v2(`22 11 000c ${IPV4}`)],
    ['more than a header can be', v2('21 11 ffff')],
  ])('%s is invalid', (_, bytes) => {
    expect(readProxyHeader(Buffer.from(bytes))).toMatchObject({ kind: 'invalid' });
  });
});
