import cluster from 'node:cluster';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../core/clock.ts';
import { messageOf, ParleyError } from '../../core/errors.ts';
import type { Check, CheckResult } from '../../platform/admin-server.ts';
import { bindOnce, freePort } from '../../platform/free-port.ts';
import type { RunningService, ServiceContext } from '../../platform/lifecycle.ts';
import { adminRoutes, type CommandOutcome } from '../admin-routes.ts';
import type { GatewayConfig } from '../config.ts';
import { authOptions } from '../gateway.ts';
import { createAuthenticator } from '../handshake/auth.ts';
import type { Wanted } from '../insights/subscribers.ts';
import { readCapacity } from '../limits/capacity.ts';
import { Places } from '../limits/connection-places.ts';
import { RateLimits } from '../limits/rate-limits.ts';
import { tenantBudget } from '../limits/tenant-budget.ts';
import { Member } from './member.ts';
import { WorkerPool } from './pool.ts';
import { PoolMetrics } from './pool-metrics.ts';
import { SharedLimits } from './shared-limits.ts';
import { presenceAmong } from './shared-presence.ts';

const CHECK_TIMEOUT_MS = 1_900;
/** After the drain's own bound: the producer's end and the farewell. */
const DRAIN_MARGIN_MS = 10_000;
const CLAIM_TRIES = 10;
const CLAIM_PAUSE_MS = 200;

/**
 * The gateway as several processes on one port, among which the system deals connections out (docs/adr/0009). This one
 * keeps what they share, replaces those that die, and answers for all of them at one admin endpoint. SIGUSR2 replaces all
 * workers, one after another.
 */
export async function startSupervisor(config: GatewayConfig, context: ServiceContext): Promise<RunningService> {
  const { log, metrics, fail } = context;
  // A wrong key ends the start here, with one message instead of one a worker.
  createAuthenticator(authOptions(config, log));
  const { capacity, places } = readCapacity(config, log);
  const port = await claimPort(config.GATEWAY_HOST, config.GATEWAY_PORT);
  const rates = new RateLimits(config, context);
  const budget = rates.keepFresh(tenantBudget(config, context, rates.ofTenant));
  const sharedLimits = new SharedLimits({
    places: new Places(places),
    budget,
    notify: (worker, bot, n) => members.get(worker)?.channel.notify('bot-share', { bot, n }),
  });
  const members = new Map<number, Member>();
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const pool = new WorkerPool({
    size: config.GATEWAY_WORKERS,
    spawn: () => {
      const worker = cluster.fork({ GATEWAY_PORT: String(port) });
      const handlers = {
        ...sharedLimits.handlersFor(worker.id),
        presence: (wanted: readonly Wanted[]) => {
          const others = [...members.values()].filter(({ id, state }) => id !== worker.id && state !== 'starting');
          return presenceAmong(
            others.map(({ channel }) => channel),
            wanted,
          );
        },
        unheard: (keys: readonly string[]) => {
          for (const other of members.values()) {
            if (other.id !== worker.id) other.channel.notify('safe-elsewhere', keys);
          }
        },
      };
      const member = new Member(worker, handlers, systemClock.monotonicMs());
      members.set(member.id, member);
      return member;
    },
    onGone: (member) => {
      members.delete(member.id);
      sharedLimits.forget(member.id);
      poolMetrics.retire(member);
    },
    drainBoundMs: config.DRAIN_TIMEOUT_MS + DRAIN_MARGIN_MS,
    clock: systemClock,
    random: Math.random,
    log,
  });
  const poolMetrics = new PoolMetrics(metrics, pool, capacity.connections);
  // Heard from the beginning: unheard it would end the process.
  const started = Promise.withResolvers<void>();
  process.on('SIGUSR2', () => void started.promise.then(() => pool.restart()).catch(fail));
  const url = await pool.start();
  started.resolve();
  return {
    url,
    checks: { workers: workersUp(pool), kafka: allWorkers(pool, 'kafka') },
    advisory: { registry: allWorkers(pool, 'registry') },
    scrape: () => poolMetrics.text(),
    routes: {
      ...adminRoutes({
        disconnect: (selector) => commandAll(pool, 'disconnect', selector),
        sendAway: (request) => commandAll(pool, 'goaway', request),
      }),
      'GET /workers': async (_, response) => {
        await pool.count();
        const workers = pool.members.map(({ id, pid, state, connections }) => ({ id, pid, state, connections }));
        response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(workers)}\n`);
      },
    },
    stop: async () => {
      pool.announceDrain();
      await delay(config.DRAIN_DELAY_MS);
      await pool.drain();
      await budget.close();
    },
  };
}

/**
 * Finds the port and makes sure that no other process has it: a shared port would be shared with a stranger, too.
 *
 * @throws {ParleyError} PORT_IN_USE
 */
async function claimPort(host: string, wanted: number): Promise<number> {
  if (wanted === 0) return await freePort({ host });
  for (let tries = 1; ; tries++) {
    try {
      return await bindOnce(wanted, host);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      const message = `GATEWAY_PORT ${wanted} on ${host} is taken by another process`;
      if (tries >= CLAIM_TRIES) throw new ParleyError('PORT_IN_USE', message, { cause: error });
      // It may be the workers of a supervisor that was killed: they end as soon as they notice.
      await delay(CLAIM_PAUSE_MS);
    }
  }
}

/** Gives a command to all workers. */
async function commandAll(pool: WorkerPool, method: string, params: object): Promise<CommandOutcome> {
  const answers = await Promise.allSettled(
    pool.up.map(({ channel }) => channel.request<number>(method, params, CHECK_TIMEOUT_MS)),
  );
  const sessions = answers.reduce((sum, each) => sum + (each.status === 'fulfilled' ? each.value : 0), 0);
  return { sessions, unanswered: answers.filter(({ status }) => status === 'rejected').length };
}

const workersUp =
  (pool: WorkerPool): Check =>
  async () => {
    const up = pool.up.length;
    if (up === 0) throw new Error(`none of ${pool.size} workers is up`);
    return { version: `${up} of ${pool.size}` };
  };

/** Up when it is up for every worker that takes connections. */
const allWorkers =
  (pool: WorkerPool, name: string): Check =>
  async () => {
    await Promise.all(
      pool.up.map(async ({ id, channel }) => {
        const answer = channel.request<CheckResult>('check', name, CHECK_TIMEOUT_MS);
        const { state, error } = await answer.catch((cause: unknown): CheckResult => {
          return { state: 'down', latency_ms: 0, error: messageOf(cause) };
        });
        if (state === 'down') throw new Error(`worker ${id}: ${error}`);
      }),
    );
    return {};
  };
