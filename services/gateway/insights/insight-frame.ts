import type { ChatOutcome } from '../../core/records.ts';

/** The frame with the outcome of a bot's message; `schemas/parley.asyncapi.yaml` describes it. */
export function insightFrame(outcome: ChatOutcome): object {
  const { message_id, conversation_id, provisional, revision, reason, insight } = outcome;
  return {
    type: 'insight',
    id: message_id,
    conversation_id,
    outcome: outcome.outcome,
    provisional,
    revision,
    ...(reason !== null && { reason }),
    ...(insight && {
      sentiment: { label: insight.sentiment_label, score: insight.sentiment_score },
      intent: { name: insight.intent, confidence: insight.intent_confidence },
      language: { code: insight.language, confidence: insight.language_confidence },
      toxicity: { score: insight.toxicity_score },
      topics: insight.topics,
      model: insight.model,
    }),
  };
}
