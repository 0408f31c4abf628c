import { readFileSync } from 'node:fs';
import { type ProcSample, sampleProcess } from './proc-stat.ts';

/** The process and all its descendants that run now. */
function familyOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    return [pid, ...children.flatMap((child) => familyOf(Number(child)))];
  } catch {
    // It has ended.
    return [];
  }
}

/** Sum over the process and its descendants: CPU used so far, and resident bytes. */
export function sampleFamily(pid: number): Pick<ProcSample, 'cpuMicros' | 'rssBytes'> {
  const samples = familyOf(pid).map(sampleProcess);
  return {
    cpuMicros: samples.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0),
    rssBytes: samples.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
  };
}
