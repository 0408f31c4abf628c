import { messageOf } from '../core/errors.ts';
import type { CheckResult } from '../platform/admin-server.ts';
import { type Instance, readInstanceFiles } from '../platform/instance-file.ts';
import { type OperatorSettings, runDirOf } from './settings.ts';

const PROBE_TIMEOUT_MS = 5_000;

export interface ServiceStatus extends Instance {
  readonly ready: boolean;
  /** Why it is not ready, where /readyz itself did not answer. */
  readonly error: string | null;
  readonly dependencies: Readonly<Record<string, CheckResult>>;
}

/** The services that run on this machine, by name and pid, and what each says of itself. */
export async function readServices(settings: OperatorSettings): Promise<ServiceStatus[]> {
  return await Promise.all((await readInstanceFiles(runDirOf(settings))).map(probe));
}

async function probe(instance: Instance): Promise<ServiceStatus> {
  try {
    const response = await fetch(`${instance.admin_url}/readyz`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    const body = (await response.json()) as { ready: boolean; dependencies: Record<string, CheckResult> };
    return { ...instance, ready: body.ready === true, error: null, dependencies: body.dependencies ?? {} };
  } catch (error) {
    const cause = error instanceof Error && error.cause ? ` (${messageOf(error.cause)})` : '';
    return { ...instance, ready: false, error: `${messageOf(error)}${cause}`, dependencies: {} };
  }
}

/** A service whose partition cannot go on: `records` is the check that knows it, and its error names the place. */
export interface StuckService {
  readonly service: string;
  readonly instance: string;
  readonly error: string;
}

export const stuckServices = (services: readonly ServiceStatus[]): StuckService[] =>
  services.flatMap(({ name, instance, dependencies: { records } }) =>
    records?.state === 'down' ? [{ service: name, instance, error: records.error ?? 'it does not say why' }] : [],
  );
