import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

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

/** The text of which ClickHouse keeps the hashes below, as `concat(tenant_id, '\\0', …)` of its columns. */
const hashedText = ({ tenant_id, bot_id, conversation_id, message_id }: MessageKey): string =>
  `${tenant_id}\0${bot_id}\0${conversation_id}\0${message_id}`;

/** `message_keys.key_hash` in hexadecimal: MD5, where chance alone is to be kept away and ClickHouse has it too. */
export const keyHash = (key: MessageKey): string => createHash('md5').update(hashedText(key)).digest('hex');

/** `receipts.key_crc`: for a prefilter. */
export const keyCrc = (key: MessageKey): number => crc32(hashedText(key));
