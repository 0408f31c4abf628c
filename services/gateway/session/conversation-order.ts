/** Conversations and ids that are remembered: a socket has at most this many refused messages worth an order. */
const MAX_CONVERSATIONS = 256;
const MAX_IDS = 256;
/** Beyond the time that its sender was asked to wait, a refused message is waited for so long. */
const PATIENCE_MS = 5_000;

interface Refused {
  /** In the order in which they were refused first. */
  readonly ids: string[];
  untilMs: number;
}

/**
 * Keeps the order of a conversation over temporary refusals: once a message was refused, later ones of its conversation
 * are refused too, until it was sent again and taken; then the next one of those refused is due. A message that is not
 * sent again in time is given up.
 */
export class ConversationOrder {
  readonly #conversations = new Map<string, Refused>();

  /** Whether a message may be taken now. */
  isDue(conversationId: string, id: string, nowMs: number): boolean {
    const refused = this.#conversations.get(conversationId);
    if (!refused) return true;
    if (nowMs >= refused.untilMs) {
      this.#conversations.delete(conversationId);
      return true;
    }
    return refused.ids[0] === id;
  }

  refused(conversationId: string, id: string, retryAfterMs: number, nowMs: number): void {
    const untilMs = nowMs + retryAfterMs + PATIENCE_MS;
    const refused = this.#conversations.get(conversationId);
    if (!refused) {
      if (this.#conversations.size < MAX_CONVERSATIONS) this.#conversations.set(conversationId, { ids: [id], untilMs });
      return;
    }
    if (refused.ids[0] === id) refused.untilMs = untilMs;
    else if (refused.ids.length < MAX_IDS && !refused.ids.includes(id)) refused.ids.push(id);
  }

  taken(conversationId: string, id: string, nowMs: number): void {
    const refused = this.#conversations.get(conversationId);
    if (refused?.ids[0] !== id) return;
    refused.ids.shift();
    refused.untilMs = nowMs + PATIENCE_MS;
    if (refused.ids.length === 0) this.#conversations.delete(conversationId);
  }
}
