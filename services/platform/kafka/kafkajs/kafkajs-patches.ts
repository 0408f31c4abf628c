import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import kafkajs from 'kafkajs';
import { adviseOnConnections } from './connection-advice.ts';
import { ConnectionClass, type InternalRequestQueue, RequestQueueClass } from './kafkajs-internals.ts';

const PENDING_CHECK_MS = 10;
let applied = false;

/**
 * Mends kafkajs 2.2.4 in place, once a process. Each patch has its regression test in `kafkajs-patches.test.ts`.
 */
export function applyKafkajsPatches(): void {
  if (applied) return;
  applied = true;
  armTimerOnlyWhenPending();
  memoisePendingConnect();
  registerZstd();
  adviseOnConnections();
}

/**
 * kafkajs re-arms a timer after every check, with a negative delay that Node turns into 1 ms: a poll for as long as the
 * connection lives (`TimeoutNegativeWarning`; issues 1704, 1751). Here a timer stands only while something is pending.
 */
function armTimerOnlyWhenPending(): void {
  RequestQueueClass.prototype.scheduleCheckPendingRequests = function (this: InternalRequestQueue) {
    if (this.throttleCheckTimeoutId || this.pending.length === 0) return;
    const delay = Math.max(this.throttledUntil - Date.now(), PENDING_CHECK_MS);
    this.throttleCheckTimeoutId = setTimeout(() => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    }, delay);
  };
}

/**
 * Requests that meet a dropped connection at the same time would each open a socket; all but the last leak, and a late
 * FIN on a leaked one closes the healthy connection. Here they share the connect that is under way.
 */
function memoisePendingConnect(): void {
  const connect = ConnectionClass.prototype.connect;
  const pending = new WeakMap<object, Promise<boolean>>();
  ConnectionClass.prototype.connect = function (this: object) {
    const underWay = pending.get(this);
    if (underWay) return underWay;
    const attempt = connect.call(this).finally(() => pending.delete(this));
    pending.set(this, attempt);
    return attempt;
  };
}

/** kafkajs ships gzip alone, and a record in a codec that it lacks ends the consumer for good. */
function registerZstd(): void {
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
    compress: async (encoder: { buffer: Buffer }) => zstdCompressSync(encoder.buffer),
    decompress: async (buffer: Buffer) => zstdDecompressSync(buffer),
  });
}
