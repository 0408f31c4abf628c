import { formatTable } from '../../operator/text-table.ts';
import { SKIP_REASONS, type SkipReason } from '../../replay/plan.ts';
import type { ReplayResult } from '../../replay/replay.ts';
import type { ReplayCounts } from '../../replay/tally.ts';

/** What `parley replay --json` prints. */
export interface ReplayReport extends ReplayCounts {
  /** False: this is the plan, and nothing was produced. */
  readonly executed: boolean;
  /** Null where nothing was executed; the table `replay_runs` has the run. */
  readonly run_id: string | null;
  readonly ended: ReplayResult['ended'];
  readonly error: string | null;
}

const LISTED_BOTS = 20;

export function describeReplay(report: ReplayReport): string {
  const { by_reason, by_bot, skipped, executed, selected } = report;
  const replay = executed ? 'REPLAYED' : 'TO REPLAY';
  const parts: string[] = [];
  if (selected > 0) {
    parts.push(
      formatTable(
        ['REASON', 'SELECTED', replay],
        by_reason.map((each) => [each.reason, each.selected, each.replay]),
      ),
      formatTable(
        ['TENANT', 'BOT', 'SELECTED', replay],
        by_bot.slice(0, LISTED_BOTS).map((each) => [each.tenant_id, each.bot_id, each.selected, each.replay]),
      ),
    );
    if (by_bot.length > LISTED_BOTS) parts.push(`and ${by_bot.length - LISTED_BOTS} bots more`);
  }
  const reasons = Object.entries(skipped).map(([why, count]) => `${count.toLocaleString('en')} ${wordsOf(why)}`);
  if (reasons.length > 0) parts.push(`Not replayed:\n${reasons.map((line) => `  ${line}`).join('\n')}`);
  parts.push(sentence(report));
  return parts.join('\n\n');
}

const wordsOf = (why: string): string => `${why}: ${SKIP_REASONS[why as SkipReason]}`;

function sentence({ executed, run_id, ended, error, replay, selected }: ReplayReport): string {
  const numbers = `${replay.toLocaleString('en')} of ${selected.toLocaleString('en')}`;
  const early = { complete: '', limit: ' (stopped at --limit)', interrupted: ' (interrupted)', failed: ` (${error})` };
  if (!executed)
    return `Plan: ${numbers} dead letters would be replayed${early[ended]}. Nothing was produced: --execute does it.`;
  return `Run ${run_id}: ${numbers} dead letters replayed${early[ended]}. npx parley verify --wait 60s waits for their outcomes.`;
}
