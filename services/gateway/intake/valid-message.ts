/** A `message` frame whose every field is as it must be. */
export interface ValidMessage {
  readonly id: string;
  readonly conversationId: string;
  readonly speaker: string;
  readonly text: string;
  readonly sentAt: number;
  readonly attempt: number;
  readonly userId: string | null;
  readonly channel: string | null;
  readonly botVersion: string | null;
  readonly metadata: ReadonlyMap<string, string>;
}
