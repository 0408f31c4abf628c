import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '../..');

export const pathOf = (file: string): string => join(ROOT, file);
export const readText = (file: string): string => readFileSync(pathOf(file), 'utf8');
export const readYaml = <T>(file: string): T => parse(readText(file), { merge: true }) as T;

export interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const rules = (): Rule[] =>
  readYaml<{ groups: { rules: Rule[] }[] }>('dashboards/alerts.yml').groups.flatMap((group) => group.rules);

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly refId: string; readonly expr?: string; readonly rawSql?: string }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition: string }[] };
}

export const dashboard = (): Dashboard =>
  JSON.parse(readText('dashboards/grafana/dashboards/operations.json')) as Dashboard;
