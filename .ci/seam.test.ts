import { describe, expect, it } from '@jest/globals';
import { seamFaults } from './seam.ts';

const KAFKA = 'services/platform/kafka';
const CLIENT = `${KAFKA}/kafkajs/client.ts`;
const shown = new Map([
  [CLIENT, "import type { Kafka as Client } from 'kafkajs';"],
  [
    `${KAFKA}/read/alias.ts`,
    "import { clientOf } from '../kafkajs/client.ts';\nexport type Admin = ReturnType<typeof clientOf>;",
  ],
  [`${KAFKA}/kafkajs/kafka.ts`, '/** kafkajs is not told by words. */ export interface Kafka {}'],
  ['services/sink/inferred.ts', 'export declare const admin: import("kafkajs").Admin;'],
]);
const faultsOf = (file: string, text: string) =>
  seamFaults(new Map([[file, text]]), shown).map(({ reaches }) => reaches);

describe('the seam around kafkajs', () => {
  it.each([
    ['an import of the package', "import type { Admin } from 'kafkajs';", 'kafkajs'],
    ['an import of an inner part', "await import('kafkajs/src/broker');", 'kafkajs/src/broker'],
    ['a module that shows its types', "import { clientOf } from '../platform/kafka/kafkajs/client.ts';", CLIENT],
    [
      'a module that hands them on',
      "import type { Admin } from '../platform/kafka/read/alias.ts';",
      `${KAFKA}/read/alias.ts`,
    ],
  ])('does not let through %s', (_, text, reaches) => {
    expect(faultsOf('services/sink/sink.ts', text)).toEqual([reaches]);
    expect(faultsOf(`${KAFKA}/topics.ts`, text)).toEqual([]);
  });

  it('does not let through a type that is inferred', () => {
    expect(faultsOf('services/sink/inferred.ts', 'export const admin = connect();')).toEqual(['kafkajs']);
  });

  it('lets through the client that shows nothing', () => {
    expect(
      faultsOf('services/sink/sink.ts', "import { createKafka } from '../platform/kafka/kafkajs/kafka.ts';"),
    ).toEqual([]);
  });
});
