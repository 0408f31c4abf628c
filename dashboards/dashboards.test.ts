import { spawnSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import { dashboard, pathOf, readText, readYaml, rules } from './testing/files.ts';
import { selectorsOf } from './testing/promql.ts';

const alerts = rules().filter(({ alert }) => alert !== undefined);

describe('the dashboard', () => {
  const panels = dashboard().panels.filter(({ type }) => type !== 'row');

  it.each(panels.map((panel) => [panel.title, panel] as const))(
    '%s: is explained, and asks a known source',
    (_, panel) => {
      expect(panel.description?.length).toBeGreaterThan(20);
      const sources = readYaml<{ datasources: { uid: string }[] }>(
        'dashboards/grafana/provisioning/datasources/parley.yml',
      ).datasources.map(({ uid }) => uid);
      expect(sources).toContain(panel.datasource?.uid);
      const refs = panel.targets?.map(({ refId }) => refId) ?? [];
      expect(refs.length).toBeGreaterThan(0);
      expect(new Set(refs).size).toBe(refs.length);
      for (const { expr } of panel.targets ?? []) if (expr !== undefined) expect(selectorsOf(expr)).not.toEqual([]);
    },
  );

  it('has panels that do not lie on each other, ids of their own and two variables', () => {
    const all = dashboard().panels;
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    const taken = new Set<string>();
    for (const { gridPos, title } of all) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x},${y}`) ? title : '').toBe('');
          taken.add(`${x},${y}`);
        }
      }
    }
    expect(dashboard().templating.list.map(({ name }) => name)).toEqual(['service', 'instance']);
  });
});

describe('alerts', () => {
  const runbooks = readText('docs/operations.md')
    .split('\n')
    .flatMap((line) => /^### (Parley\w+)$/.exec(line)?.[1] ?? []);

  it('have a runbook each, and no runbook is left over', () => {
    expect([...runbooks].sort()).toEqual(alerts.map(({ alert }) => alert).sort());
  });

  it.each(alerts.map((rule) => [rule.alert, rule] as const))(
    '%s: says how bad it is and where to read on',
    (name, rule) => {
      expect(['page', 'ticket']).toContain(rule.labels?.['severity']);
      expect(rule.annotations?.['summary']).toBeTruthy();
      expect(rule.annotations?.['description']).toBeTruthy();
      expect(rule.annotations?.['runbook']).toBe(`docs/operations.md#${name?.toLowerCase()}`);
    },
  );

  it('are PromQL, over recorded names that exist', () => {
    const recorded = new Set(rules().flatMap(({ record }) => record ?? []));
    const used = rules().flatMap(({ expr }) => selectorsOf(expr).map(({ metric }) => metric));
    expect(used.filter((name) => name.includes(':') && !recorded.has(name))).toEqual([]);
  });
});

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
const promtoolTest = hasPromtool ? it : it.skip;

describe(hasPromtool ? 'promtool' : 'promtool (skipped: not on the PATH; it comes with the package prometheus)', () => {
  promtoolTest.each([
    ['check', 'rules', 'dashboards/alerts.yml'],
    ['check', 'config', 'dashboards/prometheus.yml'],
    ['check', 'config', 'dashboards/prometheus.local.yml'],
    ['test', 'rules', 'dashboards/alerts.test.yml'],
    ['test', 'rules', 'dashboards/alerts-days.test.yml'],
  ])('%s %s %s', (verb, what, file) => {
    const { status, stdout, stderr } = spawnSync('promtool', [verb, what, pathOf(file)], { encoding: 'utf8' });
    expect(`${stdout}${stderr}`).toContain('SUCCESS');
    expect(status).toBe(0);
  });
});
