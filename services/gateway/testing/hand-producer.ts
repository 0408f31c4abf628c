import type { ChatEvent } from '../../core/records.ts';
import type { OutgoingRecord } from '../../platform/kafka/produce/batch-producer.ts';

/** A producer whose sends are settled by hand, in any order. */
export class HandProducer {
  readonly sent: { record: OutgoingRecord; ack: () => void; fail: (error: Error) => void }[] = [];
  room = true;
  post(record: OutgoingRecord, settled: (error?: Error) => void): void {
    let open = true;
    const once = (error?: Error) => {
      if (open) settled(error);
      open = false;
    };
    this.sent.push({ record, ack: () => once(), fail: once });
  }
  hasRoomFor(): boolean {
    return this.room;
  }
  event(index: number): ChatEvent {
    return JSON.parse(String(this.sent[index]?.record.value)) as ChatEvent;
  }
}
