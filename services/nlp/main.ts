import { systemClock } from '../core/clock.ts';
import { readConfig } from '../core/config.ts';
import { ParleyError } from '../core/errors.ts';
import { seededRandom } from '../core/random.ts';
import { runService, type ServiceContext } from '../platform/lifecycle.ts';
import { apiRoutes } from './api/api-routes.ts';
import { NlpServer } from './api/server.ts';
import { NLP_SERVICE_SPEC } from './config.ts';
import { FaultInjector } from './faults/injector.ts';
import { faultRoutes } from './faults/routes.ts';
import { faultsFromEnvironment } from './faults/settings.ts';
import { latencySource } from './latency.ts';
import { createNlpMetrics } from './nlp-metrics.ts';

async function start({ env, metrics: registry }: ServiceContext) {
  const config = readConfig(NLP_SERVICE_SPEC, env);
  const metrics = createNlpMetrics(registry, () => server.inFlight);
  // Two sequences of random numbers: switching a fault on does not change the latencies that follow.
  const latency = latencySource(config.NLP_LATENCY_MEAN_MS, config.NLP_LATENCY_P99_MS, seededRandom(config.NLP_SEED));
  const injector = new FaultInjector(seededRandom(config.NLP_SEED ^ 0x5bd1e995), systemClock, metrics.onFault);
  injector.set(faultsFromEnvironment(config.NLP_FAULTS));
  // After the configuration is read, so that a wrong one is reported at once: the models take a second of CPU to load.
  const { analyse } = await import('./analyser.ts');
  const server: NlpServer = await NlpServer.start({
    host: config.NLP_HOST,
    port: config.NLP_PORT,
    routes: apiRoutes({ analyser: analyse, injector, onDocument: metrics.onDocument }),
    latency,
    injector,
    maxInFlight: config.NLP_MAX_IN_FLIGHT,
    onRequest: metrics.onRequest,
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    throw new ParleyError('PORT_IN_USE', `NLP_PORT ${config.NLP_PORT} is taken by another process`, { cause: error });
  });
  return {
    url: `http://${config.NLP_HOST}:${server.port}`,
    checks: {},
    routes: faultRoutes(injector),
    stop: () => server.stop(),
  };
}

await runService({ name: 'nlp', env: process.env, adminPort: 9483, drainTimeoutMs: 10_000, start });
