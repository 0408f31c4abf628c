import { isLeftOut, type LeftOut, LeftOutCount, type LeftOutGroup } from '../../operator/chat-file/left-out.ts';
import type { InputFacts, Mended } from '../../operator/chat-file/read-chats.ts';
import type { ChatLine } from '../../operator/chat-line.ts';
import { describeLeftOut } from './input-report.ts';

/** What a run would send. */
export interface DryRunReport {
  readonly dry_run: true;
  readonly inputs: readonly InputFacts[];
  readonly messages: number;
  readonly conversations: number;
  /** The first of them, as they would be sent; a null time is that of sending. */
  readonly first: readonly ChatLine[];
  readonly bad_lines: number;
  readonly left_out: readonly LeftOutGroup[];
  readonly mended: Mended;
}

const FIRST = 5;
/** Conversations that are told apart; beyond them the number is a lower bound, and memory stays bounded (about 100 MB). */
const MAX_CONVERSATIONS = 1_000_000;

/** Reads everything and sends nothing. */
export async function dryRun(
  lines: AsyncIterable<ChatLine | LeftOut>,
  inputs: readonly InputFacts[],
  mended: Mended,
  { limit, keepTimes, runId, signal }: { limit: number; keepTimes: boolean; runId: string; signal: AbortSignal },
): Promise<DryRunReport> {
  const leftOut = new LeftOutCount();
  const conversations = new Set<string>();
  const first: ChatLine[] = [];
  let messages = 0;
  for await (const line of lines) {
    if (signal.aborted) break;
    if (isLeftOut(line)) {
      leftOut.add(line);
      continue;
    }
    messages += 1;
    if (conversations.size < MAX_CONVERSATIONS) conversations.add(line.conversation_id);
    if (first.length < FIRST) {
      first.push({ ...line, id: `${runId}-${line.id}`, sent_at: keepTimes ? line.sent_at : null });
    }
    if (messages >= limit) break;
  }
  return {
    dry_run: true,
    inputs,
    messages,
    conversations: conversations.size,
    first,
    bad_lines: leftOut.faults,
    left_out: leftOut.groups,
    mended,
  };
}

export function describeDryRun(report: DryRunReport): string {
  const count = (value: number) => value.toLocaleString('en');
  return [
    ...report.first.map((line) => `  ${JSON.stringify(line)}`),
    `Would send ${count(report.messages)} messages of ${count(report.conversations)} conversations.`,
    ...describeLeftOut(report),
  ].join('\n');
}
