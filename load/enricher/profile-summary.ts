import { join, relative } from 'node:path';
import { formatTable } from '../../services/operator/text-table.ts';

/** What `node --cpu-prof` writes, as far as it is read here. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds from one sample to the next. */
  readonly timeDeltas: readonly number[];
}

export interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

export interface SelfTime {
  readonly name: string;
  readonly micros: number;
  /** Share of the time that was not idle. */
  readonly share: number;
}

const REPOSITORY = join(import.meta.dirname, '../..');
const TOP = 40;
/** Frames in which nothing is computed. */
export const WAITING: ReadonlySet<string> = new Set(['(idle)', '(root)']);

/** `name file:line`, files in the repository by their path from its root. */
export function frameName({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const name = functionName || '(anonymous)';
  if (url === '') return name;
  const path = url.startsWith('file://') ? relative(REPOSITORY, new URL(url).pathname) : url;
  return `${name} ${path.replace(/^node_modules\//, '')}:${lineNumber + 1}`;
}

/** Microseconds of each node by its id: the time from a sample to the next belongs to it. */
export function selfMicros({ samples, timeDeltas }: CpuProfile): Map<number, number> {
  const micros = new Map<number, number>();
  for (const [index, id] of samples.entries()) {
    micros.set(id, (micros.get(id) ?? 0) + (timeDeltas[index + 1] ?? 0));
  }
  return micros;
}

/** By function, the longest first; what waits is left out. */
export function selfTimes(profile: CpuProfile): SelfTime[] {
  const micros = selfMicros(profile);
  const byName = new Map<string, number>();
  for (const node of profile.nodes) {
    if (WAITING.has(node.callFrame.functionName)) continue;
    const name = frameName(node);
    byName.set(name, (byName.get(name) ?? 0) + (micros.get(node.id) ?? 0));
  }
  const total = [...byName.values()].reduce((sum, each) => sum + each, 0);
  return [...byName]
    .map(([name, own]) => ({ name, micros: own, share: total === 0 ? 0 : own / total }))
    .sort((a, b) => b.micros - a.micros);
}

/** The functions that most time was spent in, as text. */
export function describeProfile(profile: CpuProfile, system: string): string {
  const cells = selfTimes(profile)
    .slice(0, TOP)
    .map(({ name, micros, share }) => [Math.round(micros / 1_000), Math.round(share * 1_000) / 10, name]);
  return formatTable([`${system.toUpperCase()} SELF MS`, '%', 'FUNCTION'], cells);
}
