export interface Message {
  readonly type: string;
  readonly id: string;
  readonly conversation_id: string;
}

const keyOf = (id: string, conversation: string) => `${conversation} ${id}`;

/** What the gateway has said of each message: what a client tells must follow from it. */
export class Books {
  readonly acked = new Set<string>();
  /** By message, the codes of final nacks. */
  readonly refused = new Map<string, Set<string>>();
  /** Closes with 1009, each of which may cost one message. */
  tooBig = 0;

  ack({ id, conversation_id }: Message, say: (frame: unknown) => void): void {
    this.acked.add(keyOf(id, conversation_id));
    say({ type: 'ack', ids: [id], conversation_ids: [conversation_id] });
  }

  refuse({ id, conversation_id }: Message, code: string, say: (frame: unknown) => void): void {
    const key = keyOf(id, conversation_id);
    const codes = this.refused.get(key) ?? new Set();
    this.refused.set(key, codes.add(code));
    say({ type: 'nack', id, conversation_id, code, message: code });
  }

  /** @returns what is wrong with that outcome; undefined where it is right. */
  objection(key: string, outcome: string): string | undefined {
    if (outcome === 'acked') return this.acked.has(key) ? undefined : 'acked, and the gateway has not acked it';
    if (outcome === 'frame_too_large')
      return this.tooBig > 0 ? undefined : 'too large, and nothing was closed with 1009';
    return this.refused.get(key)?.has(outcome) ? undefined : `${outcome}, which the gateway has not said`;
  }
}
