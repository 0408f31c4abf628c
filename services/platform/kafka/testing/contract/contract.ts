import type { KafkaAdapter } from './adapter.ts';
import { ContractBench } from './bench.ts';
import { fetchCases } from './fetch-cases.ts';
import { groupCases } from './group-cases.ts';
import { produceCases } from './produce-cases.ts';
import { readCases } from './read-cases.ts';
import { topicCases } from './topic-cases.ts';

/**
 * What any client library has to do for Parley, with the code around it: to be called at the top of a test file.
 *
 * @param brokers the address of one real broker, asked for once the tests run.
 */
export function kafkaContract(adapter: KafkaAdapter, brokers: () => string): void {
  const bench = new ContractBench(adapter, brokers);
  produceCases(bench);
  groupCases(bench);
  fetchCases(bench);
  readCases(bench);
  topicCases(bench);
}
