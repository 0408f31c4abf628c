/** What makes a message one message: the client's id is unique within tenant, bot and conversation. */
export interface MessageKey {
  readonly tenant_id: string;
  readonly bot_id: string;
  readonly conversation_id: string;
  readonly message_id: string;
}

/** The key as one text; lengths keep `ab`+`c` apart from `a`+`bc`. */
export const keyText = ({ tenant_id, bot_id, conversation_id, message_id }: MessageKey): string =>
  `${tenant_id.length}:${tenant_id}${bot_id.length}:${bot_id}${conversation_id.length}:${conversation_id}${message_id}`;

/** The key of the row that stands for a record which could not be decoded. */
export const deadKey = (origin: { topic_id: string; partition: number; offset: number }): MessageKey => ({
  tenant_id: '',
  bot_id: '',
  conversation_id: '',
  message_id: `dead:${origin.topic_id}:${origin.partition}:${origin.offset}`,
});
