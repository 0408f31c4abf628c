import { formatTable } from '../../services/operator/text-table.ts';
import type { RunContext } from './bench.ts';
import { compare } from './comparison.ts';
import { killRun } from './kill-run.ts';
import { type BenchOptions, chatsOf } from './options.ts';
import { describeProfiles } from './profiles.ts';
import { describeBench } from './report.ts';
import { SCENARIOS, scenarioRate } from './scenarios/all.ts';
import type { ScenarioReport } from './scenarios/scenario.ts';
import { soakRun } from './soak-run.ts';

export interface ModeReport {
  /** The document of `--json`. */
  readonly report: { readonly ok: boolean };
  readonly text: string;
}

/** What the options ask for: a comparison of systems, or one of the runs that put the enricher to the test. */
export async function runMode(options: BenchOptions, context: RunContext): Promise<ModeReport> {
  const { messages, batch, env: given, limit: limitMs, rate, scenario } = options;
  const env = { ...(batch && { NLP_BATCH: batch }), ...given };
  // Read once: the sources start over, they do not end.
  const chats = await chatsOf(options);
  if (options.kill) return asTable(await killRun({ messages, env, chats, limitMs }, context));
  if (options.soak !== undefined) return asTable(await soakRun({ durationMs: options.soak, env, chats }, context));
  if (scenario) {
    const ratePerS = rate === 'preloaded' ? scenarioRate(scenario) : rate;
    return asFindings(await SCENARIOS[scenario]({ ratePerS, env, chats: () => chats, limitMs }, context));
  }
  const report = await compare(options, context);
  const profiles = options.profile ? `\n\n${await describeProfiles(options.profile, options.system)}` : '';
  return { report, text: `${describeBench(report)}${profiles}` };
}

function asTable<T extends { readonly ok: boolean }>(report: T): ModeReport {
  const cells = Object.entries(report).map(([name, value]) => [name, String(value)]);
  return { report, text: formatTable(['WHAT', 'VALUE'], cells) };
}

function asFindings(report: ScenarioReport): ModeReport {
  const cells = report.findings.map(({ what, value, bound, ok }) => [what, value, bound, ok ? '' : 'NOT KEPT']);
  return { report, text: formatTable(['WHAT', 'VALUE', 'BOUND', ''], cells) };
}
