import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { flameGraph } from './flame-graph.ts';
import { type CpuProfile, describeProfile } from './profile-summary.ts';

/** The top of each system's profile in the folder as text; a flame graph is written beside the profile. */
export async function describeProfiles(dir: string, systems: readonly string[]): Promise<string> {
  const parts: string[] = [];
  for (const system of systems) {
    const profile = JSON.parse(await readFile(join(dir, `${system}.cpuprofile`), 'utf8')) as CpuProfile;
    await writeFile(join(dir, `${system}.svg`), flameGraph(profile, system));
    parts.push(describeProfile(profile, system));
  }
  return parts.join('\n\n');
}
