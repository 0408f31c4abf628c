import type { Kafka as Client } from 'kafkajs';
import type { Kafka } from './handle.ts';

/** What `createKafka` made, as kafkajs has it. */
export const clientOf = (kafka: Kafka): Client => kafka as unknown as Client;
