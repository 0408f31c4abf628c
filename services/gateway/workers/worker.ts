import type { Worker } from 'node:cluster';
import { systemClock } from '../../core/clock.ts';
import { readConfig } from '../../core/config.ts';
import { isParleyError, messageOf } from '../../core/errors.ts';
import { type Checks, runCheck } from '../../platform/admin-server.ts';
import { instanceName } from '../../platform/instance-name.ts';
import { LIFECYCLE_SPEC } from '../../platform/lifecycle.ts';
import { createLogger, type Logger } from '../../platform/logger.ts';
import { Metrics } from '../../platform/metrics.ts';
import { GATEWAY_SPEC, type GatewayConfig } from '../config.ts';
import { type Gateway, type SharedState, startGateway } from '../gateway.ts';
import type { Wanted } from '../insights/subscribers.ts';
import type { Lease } from '../limits/budget.ts';
import { readCapacity } from '../limits/capacity.ts';
import { LeasedTokenBuckets } from '../limits/leased-token-bucket.ts';
import { RateLimits } from '../limits/rate-limits.ts';
import { BucketTable } from '../limits/token-bucket.ts';
import type { GoawayRequest, Selector } from '../session/session-control.ts';
import { Channel, type Handlers } from './channel.ts';
import type { FailedNotice, UpNotice } from './member.ts';
import { SharedPlaces } from './shared-places.ts';
import { presenceElsewhere } from './shared-presence.ts';

const LEASE_TIMEOUT_MS = 1_000;

/**
 * One worker: a whole gateway but for the admin endpoint, and its limits are shared with the others through the
 * supervisor. It ends with the supervisor, and drains on its notice or on a SIGTERM of its own.
 */
export async function runWorker(worker: Worker, env: NodeJS.ProcessEnv): Promise<void> {
  const { LOG_LEVEL } = readConfig(LIFECYCLE_SPEC, env);
  const log = createLogger('gateway', LOG_LEVEL).child({ worker: worker.id });
  const config = readConfig(GATEWAY_SPEC, env);
  const metrics = new Metrics('gateway');
  let gateway: Gateway | undefined;
  let draining = false;
  let isAnnounced = false;
  const announceDrain = () => {
    isAnnounced = true;
    gateway?.announceDrain();
  };
  const drain = async (exitCode: number) => {
    if (draining) return;
    draining = true;
    await gateway?.stop().catch((error: unknown) => log.error({ err: messageOf(error) }, 'a drain failed'));
    await farewell(await metrics.snapshot());
    process.exit(exitCode);
  };
  const fail = (error: unknown) => {
    log.fatal({ err: error }, `a worker ends: ${messageOf(error)}`);
    void drain(1);
  };
  process.on('unhandledRejection', fail);
  process.on('uncaughtException', fail);
  // A Ctrl-C reaches all processes of the terminal; the supervisor is the one to act on it.
  process.on('SIGINT', () => {});
  process.on('SIGUSR2', () => {});
  // Where all processes get it at once, as from systemd, the door stays open here as long as the supervisor says.
  process.on('SIGTERM', () => {
    announceDrain();
    setTimeout(() => void drain(0), config.DRAIN_DELAY_MS);
  });

  const { BOT_MESSAGES_PER_S: perSecond, BOT_BURST: burst } = config;
  // The supervisor reads the same file, and says in the log and in metrics what became of it.
  const rates = new RateLimits(config, { log: log.child({}, { level: 'silent' }) });
  const bots = rates.keepFresh(new BucketTable({ perSecond, burst, rateOf: rates.ofBot, clock: systemClock }));
  const channel = new Channel(process as never, {
    ...requestsOf(metrics, () => gateway),
    'safe-elsewhere': (keys: readonly string[]) => {
      for (const key of keys) gateway?.known.note(key, 'safe');
    },
    'bot-share': ({ bot, n }: { bot: string; n: number }) => bots.divide(bot, n),
    'stop-listening': () => gateway?.stopListening(),
    'announce-drain': announceDrain,
    drain: () => void drain(0),
  });
  const instance = instanceName('gateway', process.ppid, worker.id);
  const context = { env, log, metrics, instance, fail };
  try {
    gateway = await startGateway(config, sharedStateOf(config, channel, { bots, rates }, log), context);
    if (isAnnounced) gateway.announceDrain();
    channel.notify('up', { url: gateway.url } satisfies UpNotice);
  } catch (error) {
    log.error({ err: error }, 'a worker could not start');
    const code = isParleyError(error) ? error.code : null;
    await send({
      parley: 'notice',
      method: 'failed',
      params: { code, message: messageOf(error) } satisfies FailedNotice,
    });
    process.exit(1);
  }
}

/** Requests that the supervisor may make at any time. */
const requestsOf = (metrics: Metrics, gateway: () => Gateway | undefined): Handlers => ({
  disconnect: (selector: Selector) => gateway()?.disconnect(selector) ?? 0,
  goaway: (request: GoawayRequest) => gateway()?.sendAway(request) ?? 0,
  presence: (wanted: readonly Wanted[]) => wanted.map((each) => gateway()?.presenceOf(each) ?? null),
  ping: () => ({ connections: gateway()?.connections() ?? 0 }),
  metrics: () => metrics.snapshot(),
  check: (name: string) => {
    const checks: Checks = { ...gateway()?.checks, ...gateway()?.advisory };
    const check = checks[name];
    return check ? runCheck(check) : { state: 'down', latency_ms: 0, error: 'not up yet' };
  },
});

function sharedStateOf(
  config: GatewayConfig,
  channel: Channel,
  { bots, rates }: { bots: BucketTable; rates: RateLimits },
  log: Logger,
): SharedState {
  const { GATEWAY_WORKERS: workers, TENANT_MESSAGES_PER_S: tenantRate } = config;
  const { capacity, places } = readCapacity(config, log.child({}, { level: 'silent' }));
  return {
    workers,
    rates,
    bots,
    tenants: rates.keepFresh(
      new LeasedTokenBuckets({
        perSecond: tenantRate,
        burst: tenantRate,
        rateOf: rates.ofTenant,
        sharers: workers * config.LIMIT_PEERS,
        source: { lease: (asks) => channel.request<Lease[]>('lease', asks, LEASE_TIMEOUT_MS) },
        clock: systemClock,
      }),
    ),
    places: new SharedPlaces(channel, capacity.connectionsPerWorker, (bot, n) => bots.divide(bot, n)),
    placeLimits: places,
    maxSockets: capacity.socketsPerWorker,
    elsewhere: presenceElsewhere(channel),
    onUnheard: unheardNotifier(channel),
  };
}

/** Kafka acks a batch at once: the keys of one turn of the event loop are one notice. */
function unheardNotifier(channel: Channel): (messageKey: string) => void {
  let keys: string[] = [];
  return (messageKey) => {
    if (keys.length === 0) {
      setImmediate(() => {
        channel.notify('unheard', keys);
        keys = [];
      });
    }
    keys.push(messageKey);
  };
}

/** Resolves when the message is handed over: the process is about to end. */
const send = (message: unknown): Promise<void> =>
  new Promise((resolve) => {
    if (!process.send) resolve();
    else process.send(message, undefined, undefined, () => resolve());
  });

const farewell = (params: unknown): Promise<void> => send({ parley: 'notice', method: 'farewell', params });
