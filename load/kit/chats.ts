import type { Speaker } from '../../services/core/wire-codes.ts';
import { isLeftOut } from '../../services/operator/chat-file/left-out.ts';
import { readChats } from '../../services/operator/chat-file/read-chats.ts';
import { demoConversations } from '../../services/operator/demo/conversations.ts';

export interface Turn {
  readonly speaker: Speaker;
  readonly text: string;
}

/** What one bot says next, and in which conversation. */
export interface NextTurn extends Turn {
  readonly conversation_id: string;
}

/** Turns kept of a file: enough variety, and bounded memory. */
const MAX_FILE_TURNS = 200_000;

/** Endless conversations: the demo generator's. */
export function* demoChats(seed: number): Generator<readonly Turn[], void> {
  for (const { messages } of demoConversations(seed)) yield messages;
}

/** Endless conversations: a file's, over and over; of a large file the first 200,000 messages. Bad lines are left out. */
export async function fileChats(file: string): Promise<Generator<readonly Turn[], void>> {
  const byConversation = new Map<string, Turn[]>();
  let turns = 0;
  for await (const parsed of readChats([file])) {
    if (isLeftOut(parsed)) continue;
    const chat = byConversation.get(parsed.conversation_id) ?? [];
    chat.push({ speaker: parsed.speaker as Speaker, text: parsed.text });
    byConversation.set(parsed.conversation_id, chat);
    if (++turns >= MAX_FILE_TURNS) break;
  }
  if (turns === 0) throw new Error(`${file} holds no messages`);
  return around([...byConversation.values()]);
}

function* around(chats: readonly (readonly Turn[])[]): Generator<readonly Turn[], void> {
  for (;;) yield* chats;
}

/** Deals conversations out to bots: each bot has one at a time and takes the next when it is through. */
export class Chats {
  readonly #source: Iterator<readonly Turn[], void>;
  readonly #prefix: string;
  readonly #open: { id: string; turns: readonly Turn[]; next: number }[] = [];
  #count = 0;

  constructor(source: Iterator<readonly Turn[], void>, prefix: string) {
    this.#source = source;
    this.#prefix = prefix;
  }

  next(bot: number): NextTurn {
    let open = this.#open[bot];
    if (!open || open.next >= open.turns.length) {
      const { value } = this.#source.next();
      if (!value) throw new Error('the source of conversations has ended');
      open = { id: `${this.#prefix}-${++this.#count}`, turns: value, next: 0 };
      this.#open[bot] = open;
    }
    const turn = open.turns[open.next++];
    if (!turn) throw new Error('a conversation without turns');
    return { conversation_id: open.id, ...turn };
  }
}
