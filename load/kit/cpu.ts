import { readInstanceFiles } from '../../services/platform/instance-file.ts';

/** CPU seconds used since its start, by instance. */
export type CpuReading = ReadonlyMap<string, { readonly service: string; readonly seconds: number }>;

const METRIC = /^process_cpu_seconds_total(?:\{[^}]*\})? ([\d.e+-]+)$/m;
const TIMEOUT_MS = 5_000;

/** The value of prom-client's default metric in a `/metrics` text; undefined where there is none. */
export function parseCpuSeconds(metrics: string): number | undefined {
  const found = METRIC.exec(metrics)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Asks every running service; one that does not answer is left out. */
export async function readCpu(runDir: string): Promise<CpuReading> {
  const readings = new Map<string, { service: string; seconds: number }>();
  await Promise.all(
    (await readInstanceFiles(runDir)).map(async ({ name, instance, admin_url }) => {
      try {
        const response = await fetch(`${admin_url}/metrics`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
        const seconds = parseCpuSeconds(await response.text());
        if (seconds !== undefined) readings.set(instance, { service: name, seconds });
      } catch {
        // Not up, or too busy to answer: its figure is left out, which the report shows.
      }
    }),
  );
  return readings;
}

/** Microseconds of CPU a message, by service: of the instances that were there at both readings. */
export function cpuPerMessage(before: CpuReading, after: CpuReading, messages: number): Record<string, number> {
  const used: Record<string, number> = {};
  for (const [instance, { service, seconds }] of after) {
    const earlier = before.get(instance);
    if (!earlier || messages === 0) continue;
    used[service] = (used[service] ?? 0) + ((seconds - earlier.seconds) * 1e6) / messages;
  }
  return Object.fromEntries(Object.entries(used).map(([service, micros]) => [service, Math.round(micros)]));
}
