import { type Entity, findEntities } from './analysers/entities.ts';
import { type Intent, recogniseIntent } from './analysers/intent.ts';
import { identifyLanguage, type Language } from './analysers/language.ts';
import { type Sentiment, scoreSentiment } from './analysers/sentiment.ts';
import { tokenize } from './analysers/tokens.ts';
import { findTopics } from './analysers/topics.ts';
import { scoreToxicity, type Toxicity } from './analysers/toxicity.ts';

/** What the API says about one text. */
export interface Analysis {
  readonly language: Language;
  readonly sentiment: Sentiment;
  readonly intent: Intent;
  readonly toxicity: Toxicity;
  readonly topics: readonly string[];
  readonly entities: readonly Entity[];
  readonly model: string;
}

/** Pure and deterministic: the same text and hint always give the same analysis. Never throws. */
export type Analyser = (text: string, languageHint?: string) => Analysis;

/** Raise the number when an answer may change: analysts compare rows by it. */
const MODEL = 'parley-reference-small/1 (n-grams, lexicons and rules)';

/** The one place where the analysers meet. */
export const analyse: Analyser = (text, languageHint) => {
  // A lone surrogate is replaced by U+FFFD, one unit for one, so that offsets still point into the caller's text.
  const clean = text.toWellFormed();
  const language = identifyLanguage(clean, languageHint);
  const tokens = tokenize(clean, language.code);
  const sentiment = scoreSentiment(tokens, language.code);
  const toxicity = scoreToxicity(tokens, language.code);
  return {
    language,
    sentiment,
    intent: recogniseIntent(clean, tokens, language.code, sentiment.score),
    toxicity,
    topics: findTopics(tokens),
    entities: findEntities(clean, language.code),
    model: MODEL,
  };
};
