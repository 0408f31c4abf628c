import { describe, expect, it } from '@jest/globals';
import { flag, hostPorts, int, number, oneOf, optional, readConfig, secret, text, url } from './config.ts';
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
    ['BROKERS', 'a:1,b', 'a comma-separated list of host:port'],
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
