import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import {
  flag,
  hostPorts,
  int,
  number,
  oneOf,
  optional,
  parseHostPort,
  pem,
  readConfig,
  secret,
  text,
  url,
} from './config.ts';
import { ParleyError } from './errors.ts';

const SPEC = {
  PORT: int({ default: 8080, min: 0, max: 65_535, doc: 'a port' }),
  SHARE: number({ default: 0.5, min: 0, max: 1, doc: 'a share' }),
  DEBUG: flag({ default: false, doc: 'a switch' }),
  MODE: oneOf(['wait', 'degrade'], { default: 'wait', doc: 'a choice' }),
  NLP_URL: url({ default: 'http://127.0.0.1:8091', doc: 'a URL' }),
  BROKERS: hostPorts({ default: ['127.0.0.1:9092'], doc: 'brokers' }),
  PASSWORD: secret({ default: '', doc: 'a secret' }),
  NAME: optional(text({ doc: 'a name' })),
};

describe('readConfig', () => {
  it('gives the defaults, and undefined for what may be missing', () => {
    expect(readConfig(SPEC, {})).toEqual({
      PORT: 8080,
      SHARE: 0.5,
      DEBUG: false,
      MODE: 'wait',
      NLP_URL: 'http://127.0.0.1:8091',
      BROKERS: ['127.0.0.1:9092'],
      PASSWORD: '',
      NAME: undefined,
    });
  });

  it('reads every kind', () => {
    const env = {
      PORT: '0',
      SHARE: '.25',
      DEBUG: '1',
      MODE: 'degrade',
      NLP_URL: 'https://nlp.example/base/',
      BROKERS: 'a:1, b:2',
      PASSWORD: 'hush',
      NAME: 'x',
    };
    expect(readConfig(SPEC, env)).toEqual({
      PORT: 0,
      SHARE: 0.25,
      DEBUG: true,
      MODE: 'degrade',
      NLP_URL: 'https://nlp.example/base',
      BROKERS: ['a:1', 'b:2'],
      PASSWORD: 'hush',
      NAME: 'x',
    });
  });

  it.each([
    ['PORT', '80a', 'an integer from 0 to 65535'],
    ['PORT', '65536', 'an integer from 0 to 65535'],
    ['PORT', '1e3', 'an integer from 0 to 65535'],
    ['SHARE', '2', 'a number from 0 to 1'],
    ['SHARE', ' ', 'a number from 0 to 1'],
    ['DEBUG', 'yes', 'true or false'],
    ['MODE', 'Wait', 'one of wait, degrade'],
    ['NLP_URL', 'ftp://x', 'an http:// or https:// URL'],
    ['NLP_URL', '127.0.0.1:8091', 'an http:// or https:// URL'],
    ...['a:1,b', 'PLAINTEXT://127.0.0.1:9092', '::1:9092', 'kafka', 'kafka:70000', ','].map((value) => [
      'BROKERS',
      value,
      'a comma-separated list of host:port, such as kafka-1:9092,[::1]:9092',
    ]),
  ])('refuses %s=%s by name, value and what is allowed', (name, value, allowed) => {
    const read = () => readConfig(SPEC, { [name]: value });
    expect(read).toThrow(
      new ParleyError('CONFIG_INVALID', `${name} is ${JSON.stringify(value)}; allowed is ${allowed}`),
    );
  });

  it('lists every problem at once, and never prints a secret', () => {
    const spec = { ...SPEC, TOKEN: { ...secret({ doc: 'x' }), read: () => undefined }, NEEDED: text({ doc: 'y' }) };
    expect(() => readConfig(spec, { PORT: 'x', TOKEN: 'classified' })).toThrow(
      'PORT is "x"; allowed is an integer from 0 to 65535. TOKEN is set to a secret; allowed is a text. ' +
        'NEEDED is not set; allowed is a text that is not empty',
    );
  });
});

describe('hostPorts', () => {
  it.each([
    ['[::1]:9092', ['[::1]:9092']],
    ['127.0.0.1:9092,', ['127.0.0.1:9092']],
    [' a:1 ,, b:2', ['a:1', 'b:2']],
  ])('reads %s', (BROKERS, expected) => {
    expect(readConfig(SPEC, { BROKERS }).BROKERS).toEqual(expected);
  });

  it('gives an IPv6 address without its brackets', () => {
    expect(parseHostPort('[fe80::1%eth0]:9092')).toEqual({ host: 'fe80::1%eth0', port: 9_092 });
  });
});

describe('a secret', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-config-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const PEM_TEXT = '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n';
  const PEM_SPEC = { CA: optional(pem({ doc: 'a certificate' })) };

  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };

  it('is read from the file that its _FILE variable names, less one line end', () => {
    expect(readConfig(SPEC, { PASSWORD_FILE: file('password', ' hush \n') }).PASSWORD).toBe(' hush ');
  });

  it('is refused when variable and file are both given, or the file is not there', () => {
    const both = () => readConfig(SPEC, { PASSWORD: 'hush', PASSWORD_FILE: file('twice', 'hush') });
    expect(both).toThrow('PASSWORD and PASSWORD_FILE are both set; allowed is one of them');
    expect(() => readConfig(SPEC, { PASSWORD_FILE: join(folder, 'nowhere') })).toThrow(
      /PASSWORD_FILE is ".*nowhere"; allowed is the path of a readable file/,
    );
  });

  it('in PEM is text, text with written line ends, or a path; anything else is refused unprinted', () => {
    const read = (CA: string) => readConfig(PEM_SPEC, { CA }).CA;
    expect(read(PEM_TEXT)).toBe(PEM_TEXT);
    expect(read(PEM_TEXT.replaceAll('\n', '\\n'))).toBe(PEM_TEXT);
    expect(read(file('ca.pem', PEM_TEXT))).toBe(PEM_TEXT);
    expect(readConfig(PEM_SPEC, { CA_FILE: file('ca2.pem', PEM_TEXT) }).CA).toBe(PEM_TEXT.trimEnd());
    expect(() => read('classified')).toThrow('CA is set to a secret; allowed is PEM text');
  });
});
