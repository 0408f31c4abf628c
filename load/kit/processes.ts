import { readFileSync } from 'node:fs';

/** Clock ticks of `/proc/<pid>/stat`: 100 a second on every Linux that Node runs on. */
const TICKS_PER_S = 100;

/** The process and all its descendants. */
function familyOf(pid: number): number[] {
  let children: string;
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  } catch {
    return [];
  }
  return [
    pid,
    ...children
      .split(' ')
      .filter(Boolean)
      .flatMap((child) => familyOf(Number(child))),
  ];
}

/** CPU seconds used so far, user and system, by a process and its descendants. */
export const cpuSeconds = (pid: number): number =>
  familyOf(pid).reduce((sum, member) => {
    const fields = readFileSync(`/proc/${member}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
  }, 0);

/** Resident bytes of each of them, with its command line's end. */
export const residentBytes = (pid: number): number =>
  familyOf(pid).reduce((sum, member) => {
    const found = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${member}/status`, 'utf8'))?.[1];
    return sum + Number(found ?? 0) * 1_024;
  }, 0);
