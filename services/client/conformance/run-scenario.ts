import { setTimeout as sleep } from 'node:timers/promises';
import type { DrivenClient } from './driver-process.ts';
import { KitGateway } from './kit-gateway.ts';
import { difference, type Json, type Scenario, type Step } from './scenario.ts';

export interface Verdict {
  readonly name: string;
  readonly rule: string;
  readonly verdict: 'passed' | 'failed';
  readonly why?: string;
}

/** Clients reconnect within milliseconds here, and wait for nothing longer. */
const BACKOFF_MS = { min_ms: 1, max_ms: 20 };

export async function runScenario(scenario: Scenario, client: DrivenClient, stepTimeoutMs: number): Promise<Verdict> {
  const { name, rule, steps } = scenario;
  const gateway = new KitGateway(scenario);
  const url = await gateway.listen();
  const run: Run = { gateway, client, url, stepTimeoutMs };
  try {
    for (const [index, step] of steps.entries()) {
      await take(step, run).catch((error: Error) => {
        throw new Error(`step ${index + 1}, ${JSON.stringify(step)}: ${error.message}`);
      });
    }
    return { name, rule, verdict: 'passed' };
  } catch (error) {
    return { name, rule, verdict: 'failed', why: (error as Error).message };
  } finally {
    client.do('close', { timeout_ms: 0 });
    gateway.stop();
  }
}

interface Run {
  readonly gateway: KitGateway;
  readonly client: DrivenClient;
  readonly url: string;
  readonly stepTimeoutMs: number;
}

function check(expected: Json, actual: unknown): void {
  const found = difference(expected, actual);
  if (found) throw new Error(`${found}, in ${JSON.stringify(actual)}`);
}

async function take(step: Step, { gateway, client, url, stepTimeoutMs }: Run): Promise<void> {
  if ('connect' in step) client.do('connect', { url, backoff: BACKOFF_MS, ...step.connect });
  else if ('send' in step) client.do('send', { message: step.send });
  else if ('end' in step) client.do('close', { timeout_ms: step.end });
  else if ('handshake' in step) check(step.handshake, await gateway.handshakes.next('handshake', stepTimeoutMs));
  else if ('frame' in step) check(step.frame, await gateway.frames.next('frame', stepTimeoutMs));
  else if ('say' in step) gateway.socket.send(JSON.stringify(step.say));
  else if ('say_before' in step) gateway.before.send(JSON.stringify(step.say_before));
  else if ('text' in step) gateway.socket.send(step.text);
  else if ('drop' in step) gateway.socket.terminate();
  else if ('freeze' in step) gateway.socket.pause();
  else if ('close' in step) gateway.socket.close(...step.close);
  else if ('closed' in step) check(step.closed, await gateway.closes.next('end of the connection', stepTimeoutMs));
  else if ('event' in step) check(step.event, await client.events.next('event', stepTimeoutMs));
  else if ('settled' in step) {
    for (const [id, outcome] of Object.entries(step.settled)) {
      check(outcome, await client.settled(id).next(`outcome of ${id}`, stepTimeoutMs));
    }
  } else if ('pings' in step) await ping(gateway, step.pings);
  else {
    await sleep(step.quiet);
    if (gateway.frames.size + gateway.handshakes.size > 0) throw new Error('the client did not keep quiet');
  }
}

async function ping(gateway: KitGateway, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await sleep(gateway.limits['ping_interval_ms'] ?? 0);
    gateway.socket.ping();
  }
}
