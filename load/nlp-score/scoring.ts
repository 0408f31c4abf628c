import type { Analyser, Analysis } from '../../services/nlp/analyser.ts';
import { areaUnderCurve, Confusion } from './confusion.ts';
import { type LabelledMessage, readDataSet, type Split, splitOf } from './data-set.ts';
import { type Judgement, judgeIntent, judgeLanguage, judgeSentiment, judgeToxicity } from './tasks.ts';

/** Every file with a label that some task reads. */
export const DATA_SETS = [
  'arbanking77',
  'banking77',
  'bitext_support',
  'clinc150',
  'convabuse',
  'crosswoz',
  'goemotions',
  'multidogo_customer',
  'sgd',
  'star',
  'taskmaster4',
  'tau_bench',
  'topical_chat',
  'woz_multilingual',
  'xed',
  'xsid',
] as const;

export class TaskScore {
  readonly all = new Confusion();
  readonly groups = new Map<string, Confusion>();

  add({ label, answer, group }: Judgement): void {
    this.all.add(label, answer);
    const confusion = this.groups.get(group) ?? new Confusion();
    confusion.add(label, answer);
    this.groups.set(group, confusion);
  }
}

export interface Scores {
  readonly messages: number;
  readonly cpuMicrosecondsPerMessage: number;
  readonly language: TaskScore;
  readonly languageBySet: ReadonlyMap<string, Confusion>;
  readonly sentiment: TaskScore;
  readonly intent: TaskScore;
  readonly toxicity: TaskScore;
  readonly toxicityAuc: number | null;
}

export interface ScoringOptions {
  readonly folder: string;
  readonly split: Split | 'all';
  readonly analyse: Analyser;
  /** At most so many messages of each file. */
  readonly limit: number;
  readonly onProgress: (dataset: string, messages: number) => void;
}

class Collector {
  readonly language = new TaskScore();
  readonly languageBySet = new Map<string, Confusion>();
  readonly sentiment = new TaskScore();
  readonly intent = new TaskScore();
  readonly toxicity = new TaskScore();
  readonly toxicScores: Record<string, number[]> = { toxic: [], 'non-toxic': [] };

  add(message: LabelledMessage, analysis: Analysis): void {
    const language = judgeLanguage(message, analysis);
    if (language) {
      this.language.add(language);
      const ofSet = this.languageBySet.get(message.dataset) ?? new Confusion();
      ofSet.add(language.label, language.answer);
      this.languageBySet.set(message.dataset, ofSet);
    }
    const sentiment = judgeSentiment(message, analysis);
    if (sentiment) this.sentiment.add(sentiment);
    const intent = judgeIntent(message, analysis);
    if (intent) this.intent.add(intent);
    const toxicity = judgeToxicity(message, analysis);
    if (toxicity) {
      this.toxicity.add(toxicity);
      this.toxicScores[toxicity.label]?.push(analysis.toxicity.score);
    }
  }
}

/** Analyses every message of the split, without a language hint, and judges the answers by the labels. */
export async function score({ folder, split, analyse, limit, onProgress }: ScoringOptions): Promise<Scores> {
  const collector = new Collector();
  let messages = 0;
  let cpuMicroseconds = 0;
  for (const dataset of DATA_SETS) {
    let taken = 0;
    for await (const message of readDataSet(folder, dataset)) {
      if (taken >= limit) break;
      if (split !== 'all' && splitOf(message.conversation_id) !== split) continue;
      taken += 1;
      const before = process.cpuUsage();
      collector.add(message, analyse(message.text));
      const { user, system } = process.cpuUsage(before);
      cpuMicroseconds += user + system;
    }
    messages += taken;
    onProgress(dataset, taken);
  }
  const { toxic = [], 'non-toxic': harmless = [] } = collector.toxicScores;
  return {
    ...collector,
    messages,
    cpuMicrosecondsPerMessage: cpuMicroseconds / messages,
    toxicityAuc: toxic.length > 0 && harmless.length > 0 ? areaUnderCurve(toxic, harmless) : null,
  };
}
