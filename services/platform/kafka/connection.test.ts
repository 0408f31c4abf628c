import { expect, it } from '@jest/globals';
import { readConfig } from '../../core/config.ts';
import { KAFKA_SPEC } from '../settings.ts';
import { kafkaConnection } from './connection.ts';
import { CODEC_NAMES } from './kafkajs/codecs.ts';

const read = (env: Record<string, string>) => kafkaConnection(readConfig(KAFKA_SPEC, env));

it('rack and compression are taken as they are set, and by default there is neither', () => {
  expect(read({})).toMatchObject({ compression: 'none' });
  expect(read({})).not.toHaveProperty('rack');
  expect(read({ KAFKA_CLIENT_RACK: 'eu-1a' })).toMatchObject({ rack: 'eu-1a' });
  for (const codec of CODEC_NAMES) expect(read({ KAFKA_COMPRESSION: codec })).toMatchObject({ compression: codec });
});

it('a codec that Kafka does not know is refused with those that it knows', () => {
  expect(() => read({ KAFKA_COMPRESSION: 'brotli' })).toThrow('allowed is one of none, gzip, snappy, lz4, zstd');
});
