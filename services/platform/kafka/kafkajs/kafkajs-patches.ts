import kafkajs from 'kafkajs';
import { KAFKAJS_CODECS } from './codecs.ts';
import { adviseOnConnections } from './connection-advice.ts';
import {
  ConnectionClass,
  type InternalConnection,
  type InternalRequestQueue,
  RequestQueueClass,
} from './kafkajs-internals.ts';
import { keepMetadataToOwnTopics } from './own-metadata.ts';

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
  closeSilentConnections();
  Object.assign(kafkajs.CompressionCodecs, KAFKAJS_CODECS);
  keepMetadataToOwnTopics();
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
 * FIN on a leaked one closes the healthy connection. Here they share the connect that is under way, and a socket that
 * did not connect in time is closed.
 */
function memoisePendingConnect(): void {
  const connect = ConnectionClass.prototype.connect;
  const pending = new WeakMap<object, Promise<boolean>>();
  ConnectionClass.prototype.connect = function (this: InternalConnection) {
    const underWay = pending.get(this);
    if (underWay) return underWay;
    connectionOf.set(this.requestQueue, this);
    const attempt = connect
      .call(this)
      .catch((error: unknown) => {
        this.socket?.destroy();
        throw error;
      })
      .finally(() => pending.delete(this));
    pending.set(this, attempt);
    return attempt;
  };
}

const connectionOf = new WeakMap<InternalRequestQueue, InternalConnection>();

/**
 * kafkajs gives up a request that is not answered in time and sends the next one over the same socket. Over a connection
 * whose other end is gone without a word (a firewall that forgot it, a host that lost its power) each of them waits as
 * long again: 48 to 140 s went by until the last user had noticed. Here the first one ends the connection, and with it
 * all that wait on it.
 */
function closeSilentConnections(): void {
  const create = RequestQueueClass.prototype.createSocketRequest;
  RequestQueueClass.prototype.createSocketRequest = function (this: InternalRequestQueue, pushed) {
    const request = create.call(this, pushed);
    const giveUp = request.timeoutHandler;
    request.timeoutHandler = () => {
      giveUp();
      connectionOf.get(this)?.socket?.destroy(new Error('no answer in time: the connection is given up'));
    };
    return request;
  };
}
