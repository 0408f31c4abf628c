import { stack } from '../../services/local/testing/stack.ts';
import { kafkaContract } from '../../services/platform/kafka/testing/contract/contract.ts';
import { platformaticAdapter } from './adapter.ts';

kafkaContract(platformaticAdapter, () => stack().kafkaBrokers);
