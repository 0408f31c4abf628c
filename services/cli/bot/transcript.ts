import type { Insight } from '../../client/frames.ts';

/** One message of a chat, as far as it has come. Durations are milliseconds from handing it to the connection. */
export interface Turn {
  readonly id: string;
  ack_ms: number | null;
  /** The code with which it was refused, or given up. */
  refused: string | null;
  insight_ms: number | null;
  /** The last that came: a provisional one until the final one is there. */
  insight: Insight | null;
}

const percent = (share: number) => `${Math.round(share * 100)} %`;

/** An insight in one line, for people. */
export function describeInsight({ outcome, provisional, reason, ...found }: Insight): string {
  const { sentiment, intent, language, toxicity } = found;
  const parts = [
    ...(outcome === 'enriched' ? [] : [reason === undefined ? outcome : `${outcome} (${reason})`]),
    ...(sentiment ? [`${sentiment.label} ${sentiment.score.toFixed(2)}`] : []),
    ...(intent ? [`intent ${intent.name} ${percent(intent.confidence)}`] : []),
    ...(language ? [`language ${language.code}`] : []),
    ...(toxicity ? [`toxicity ${percent(toxicity.score)}`] : []),
  ];
  return `${provisional ? 'for now ' : ''}${parts.join(', ')}`;
}

export interface ChatReport {
  readonly url: string;
  readonly conversation_id: string;
  readonly sent: number;
  readonly acked: number;
  /** How many by code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Messages whose final insight came. */
  readonly insights: number;
  readonly interrupted: boolean;
  /** The last thousand. */
  readonly messages: readonly Turn[];
}

/** For people; what happened in between they have read as it came. */
export function describeChat({ sent, acked, refused, insights, conversation_id }: ChatReport): string {
  const refusals = Object.entries(refused).map(([code, count]) => `  refused ${code}: ${count}`);
  const missing = acked - insights;
  return [
    `Sent ${sent} messages in conversation ${conversation_id}; ${acked} acked, ${insights} with an insight.`,
    ...refusals,
    ...(missing > 0 ? [`No insight came for ${missing}: is the enricher running (parley status)?`] : []),
  ].join('\n');
}
