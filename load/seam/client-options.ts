/** As Parley has kafkajs: a silent connection is given up after 5 s, and retries outlast a short outage. */
export const optionsOf = (brokers: readonly string[]) => ({
  clientId: 'seam-spike',
  bootstrapBrokers: [...brokers],
  connectTimeout: 3_000,
  timeout: 4_000,
  requestTimeout: 5_000,
  retries: 12,
  retryDelay: 250,
});
