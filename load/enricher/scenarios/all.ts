import { faults } from './faults.ts';
import { noisyTenant } from './noisy-tenant.ts';
import { outage } from './outage.ts';
import { quota } from './quota.ts';
import type { Scenario } from './scenario.ts';
import { throttled } from './throttled.ts';

export const SCENARIOS = { faults, outage, throttled, quota, 'noisy-tenant': noisyTenant } satisfies Record<
  string,
  Scenario
>;
export type ScenarioName = keyof typeof SCENARIOS;

export const isScenario = (name: string): name is ScenarioName => Object.hasOwn(SCENARIOS, name);
/** Messages a second where none are asked for. */
export const scenarioRate = (name: ScenarioName): number => (name === 'noisy-tenant' ? 2_200 : 1_000);
