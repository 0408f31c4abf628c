import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { flameGraph } from './flame-graph.ts';
import { type CpuProfile, describeProfile } from './profile-summary.ts';

/** Of each system's profile in the folder: its top as text, and a flame graph beside it. */
export async function tellProfiles(dir: string, systems: readonly string[]): Promise<string> {
  const parts: string[] = [];
  for (const system of systems) {
    const profile = JSON.parse(await readFile(join(dir, `${system}.cpuprofile`), 'utf8')) as CpuProfile;
    await writeFile(join(dir, `${system}.svg`), flameGraph(profile, system));
    parts.push(describeProfile(profile, system));
  }
  return parts.join('\n\n');
}
