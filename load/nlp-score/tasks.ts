import type { Analysis } from '../../services/nlp/analyser.ts';
import type { LabelledMessage } from './data-set.ts';

/** A label and our answer in the same words, or nothing where the message says nothing about the task. */
export interface Judgement {
  readonly label: string;
  readonly answer: string;
  /** The line of the report that it belongs to. */
  readonly group: string;
}

/** The data counts Bosnian, Croatian and Serbian as one language, and so do we. */
const ONE_LANGUAGE: Readonly<Record<string, string>> = { bs: 'sr', hr: 'sr', nb: 'no', nn: 'no' };
const unify = (code: string) => ONE_LANGUAGE[code] ?? code;

export function judgeLanguage({ labels, text }: LabelledMessage, { language }: Analysis): Judgement | undefined {
  if (!labels?.language) return undefined;
  const words = text.trim().split(/\s+/).length;
  const group = words <= 2 ? '1 to 2 words' : words <= 5 ? '3 to 5 words' : '6 words and more';
  return { label: unify(labels.language), answer: unify(language.code), group };
}

const SENTIMENTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  goemotions: { positive: 'positive', negative: 'negative', neutral: 'neutral' },
  xed: { positive: 'positive', negative: 'negative', neutral: 'neutral' },
  topical_chat: {
    Happy: 'positive',
    Angry: 'negative',
    Disgusted: 'negative',
    Fearful: 'negative',
    Sad: 'negative',
    Neutral: 'neutral',
  },
};

export function judgeSentiment(message: LabelledMessage, { sentiment }: Analysis): Judgement | undefined {
  const label = SENTIMENTS[message.dataset]?.[message.labels?.sentiment ?? ''];
  if (!label) return undefined;
  const language = message.labels?.language ?? 'und';
  const group = message.dataset === 'xed' ? `xed ${unify(language)}` : message.dataset;
  return { label, answer: sentiment.label, group };
}

const ACTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  multidogo_customer: {
    openinggreeting: 'greeting',
    closinggreeting: 'goodbye',
    thankyou: 'thanks',
    confirmation: 'confirmation',
    rejection: 'rejection',
  },
  clinc150: {
    greeting: 'greeting',
    goodbye: 'goodbye',
    thank_you: 'thanks',
    yes: 'confirmation',
    no: 'rejection',
  },
  crosswoz: { 'General+thank': 'thanks', 'General+bye': 'goodbye', Request: 'question or request' },
};

/** Bitext's intents that neither are complaints nor sound like one. */
const NO_COMPLAINT =
  /^(?:check_|recover_|change_|switch_|delivery_|create_|place_|track_|set_up_|edit_|get_|newsletter_)/;

/** Only labels that mean the same as one of our dialogue acts are judged. */
export function judgeIntent({ dataset, labels }: LabelledMessage, { intent }: Analysis): Judgement | undefined {
  const given = labels?.intent;
  if (given === undefined) return undefined;
  if (dataset === 'bitext_support') {
    const label = given === 'complaint' ? 'complaint' : NO_COMPLAINT.test(given) ? 'no complaint' : undefined;
    return label && { label, answer: intent.name === 'complaint' ? 'complaint' : 'no complaint', group: dataset };
  }
  const label = ACTS[dataset]?.[given];
  if (!label) return undefined;
  const asks = dataset === 'crosswoz' && (intent.name === 'question' || intent.name === 'request');
  return { label, answer: asks ? 'question or request' : intent.name, group: dataset };
}

/** Toxicity scores from here on count as toxic. */
const TOXIC_FROM = 0.5;

export function judgeToxicity({ dataset, labels }: LabelledMessage, { toxicity }: Analysis): Judgement | undefined {
  const label = labels?.toxicity;
  if (label !== 'toxic' && label !== 'non-toxic') return undefined;
  return { label, answer: toxicity.score >= TOXIC_FROM ? 'toxic' : 'non-toxic', group: dataset };
}
