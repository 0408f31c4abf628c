/** A message of a file as it is to be sent, but for its time. Everything beyond the structure is the gateway's to judge. */
export interface ChatLine {
  /** The file's own id, else the number of the line or record. */
  readonly id: string;
  readonly conversation_id: string;
  readonly speaker: string;
  readonly text: string;
  /** Milliseconds since the epoch, where the file says. */
  readonly sent_at: number | null;
  readonly user_id?: string;
  readonly channel?: string;
  readonly bot_version?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}
