import type { Confusion } from './confusion.ts';
import type { Scores, TaskScore } from './scoring.ts';

interface Figures {
  readonly messages: number;
  readonly accuracy: number;
  readonly macro_f1: number;
}

const round3 = (value: number) => Math.round(value * 1_000) / 1_000;

const figuresOf = (confusion: Confusion): Figures => ({
  messages: confusion.total,
  accuracy: round3(confusion.accuracy),
  macro_f1: round3(confusion.macroF1),
});

const byName = <T>(entries: Iterable<readonly [string, T]>) =>
  [...entries].sort(([left], [right]) => left.localeCompare(right));

const figuresByName = (groups: ReadonlyMap<string, Confusion>) =>
  Object.fromEntries(byName(groups).map(([name, confusion]) => [name, figuresOf(confusion)]));

const figuresByLabel = (confusion: Confusion) =>
  Object.fromEntries(
    confusion.labels.map((label) => [
      label,
      {
        messages: confusion.count(label),
        recall: round3(confusion.recall(label)),
        f1: round3(confusion.f1(label)),
        mistaken_for: Object.fromEntries(confusion.mistakes(label, 3)),
      },
    ]),
  );

const taskReport = ({ all, groups }: TaskScore) => ({
  ...figuresOf(all),
  by_group: figuresByName(groups),
  by_label: figuresByLabel(all),
});

/** All figures as one JSON document. */
export function jsonReport(scores: Scores, split: string) {
  return {
    split,
    messages: scores.messages,
    cpu_us_per_message: Math.round(scores.cpuMicrosecondsPerMessage),
    language: { ...taskReport(scores.language), by_file: figuresByName(scores.languageBySet) },
    sentiment: taskReport(scores.sentiment),
    intent: taskReport(scores.intent),
    toxicity: { ...taskReport(scores.toxicity), auc: scores.toxicityAuc === null ? null : round3(scores.toxicityAuc) },
  };
}

const HEAD = ['task', 'messages', 'accuracy', 'macro-F1'] as const;
const percent = (value: number) => (value * 100).toFixed(1);

function lineOf(name: string, confusion: Confusion): string[] {
  return [name, String(confusion.total), percent(confusion.accuracy), percent(confusion.macroF1)];
}

/** A Markdown table, its columns aligned, so that it can be read here and pasted into `docs/nlp.md`. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

function taskRows(name: string, task: TaskScore): string[][] {
  const groups = task.groups.size > 1 ? byName(task.groups) : [];
  return [lineOf(`**${name}**`, task.all), ...groups.map(([group, confusion]) => lineOf(group, confusion))];
}

/** The figures as Markdown tables. */
export function textReport(scores: Scores, split: string): string {
  const { language, sentiment, intent, toxicity } = scores;
  const labelRows = (confusion: Confusion) =>
    confusion.labels.map((label) => [
      label,
      String(confusion.count(label)),
      percent(confusion.recall(label)),
      percent(confusion.f1(label)),
      confusion
        .mistakes(label, 3)
        .map(([answer, count]) => `${answer} ${count}`)
        .join(', '),
    ]);
  const labelHead = ['label', 'messages', 'recall', 'F1', 'mistaken for'];
  const auc = scores.toxicityAuc === null ? 'n/a' : scores.toxicityAuc.toFixed(3);
  return [
    `Split: ${split}; ${scores.messages} messages; ${Math.round(scores.cpuMicrosecondsPerMessage)} µs CPU a message`,
    table(HEAD, [
      ...taskRows('language', language),
      ...byName(scores.languageBySet).map(([name, confusion]) => lineOf(`file ${name}`, confusion)),
      ...taskRows('sentiment', sentiment),
      ...taskRows('intent', intent),
      ...taskRows('toxicity', toxicity),
    ]),
    `Toxicity: area under the ROC curve ${auc}`,
    ...[language, sentiment, intent, toxicity].map((task) => table(labelHead, labelRows(task.all))),
  ].join('\n\n');
}
