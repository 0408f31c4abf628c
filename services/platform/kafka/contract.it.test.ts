import { stack } from '../../local/testing/stack.ts';
import { kafkaContract } from './testing/contract/contract.ts';
import { parleyAdapter } from './testing/contract/parley-adapter.ts';

kafkaContract(parleyAdapter, () => stack().kafkaBrokers);
