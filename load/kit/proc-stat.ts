import { readFileSync } from 'node:fs';

/** The kernel's clock ticks a second, as `/proc` counts them (USER_HZ: 100 on every Linux that Node runs on). */
const TICKS_PER_S = 100;

/** User and system time of a whole process, all its threads, ended ones included, in microseconds. */
export function parseCpuMicros(stat: string): number {
  // The second field is the command's name in brackets, which may hold spaces and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [Number(fields[11]), Number(fields[12])];
  return ((user + system) / TICKS_PER_S) * 1e6;
}

/** A field of `/proc/<pid>/status` that is given in kB, as bytes. */
export function parseStatusBytes(status: string, field: 'VmRSS' | 'VmHWM'): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? Number.NaN) * 1_024;
}

export interface ProcSample {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly cpuMicros: number;
  readonly rssBytes: number;
}

/** @throws when the process has ended, or where there is no `/proc`. */
export function sampleProcess(pid: number): ProcSample {
  const cpuMicros = parseCpuMicros(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  const rssBytes = parseStatusBytes(readFileSync(`/proc/${pid}/status`, 'latin1'), 'VmRSS');
  return { atMs: performance.timeOrigin + performance.now(), cpuMicros, rssBytes };
}

/** CPU at a moment between two samples, taken as spent evenly between them. */
export function cpuMicrosAt(samples: readonly ProcSample[], atMs: number): number {
  const after = samples.findIndex((sample) => sample.atMs >= atMs);
  const next = samples.at(after);
  const previous = samples[Math.max(after < 0 ? samples.length - 1 : after - 1, 0)];
  if (!next || !previous) throw new Error('there are no samples');
  if (next.atMs <= previous.atMs) return next.cpuMicros;
  const share = Math.min(Math.max((atMs - previous.atMs) / (next.atMs - previous.atMs), 0), 1);
  return previous.cpuMicros + share * (next.cpuMicros - previous.cpuMicros);
}
