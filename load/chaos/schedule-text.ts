import { formatTable } from '../../services/operator/text-table.ts';
import { type ChaosEvent, planEndMs } from './planner.ts';

export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** The first columns of an event's row. */
export const planned = ({ number, at_ms, kind, part, for_ms }: ChaosEvent) => [
  number,
  seconds(at_ms),
  kind,
  part,
  for_ms > 0 ? seconds(for_ms) : null,
];

/** The schedule, for people. */
export function describePlan(seed: number, plan: readonly ChaosEvent[]): string {
  const table = formatTable(['#', 'AT', 'EVENT', 'PART', 'FOR'], plan.map(planned));
  return `Seed ${seed}: ${plan.length} events in ${seconds(planEndMs(plan))}.\n\n${table}\n`;
}
