import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { flameGraph } from './flame-graph.ts';
import { type CpuProfile, describeProfile } from './profile-summary.ts';

/** Of each subject's profile in the folder: its top as text, and a flame graph beside it. */
export async function tellProfiles(dir: string, subjects: readonly string[]): Promise<string> {
  const parts: string[] = [];
  for (const subject of subjects) {
    const profile = JSON.parse(await readFile(join(dir, `${subject}.cpuprofile`), 'utf8')) as CpuProfile;
    await writeFile(join(dir, `${subject}.svg`), flameGraph(profile, subject));
    parts.push(describeProfile(profile, subject));
  }
  return parts.join('\n\n');
}
