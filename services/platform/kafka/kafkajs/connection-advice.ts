import kafkajs from 'kafkajs';
import { BrokerClass, type ConnectingBroker } from './kafkajs-internals.ts';

interface ConnectionKind {
  readonly tls: boolean;
  readonly sasl: boolean;
}

/** What a certificate was refused for, by OpenSSL's and Node's own codes. */
const UNTRUSTED = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_UNTRUSTED',
]);

interface Advice {
  readonly text: string;
  /** The same again would end the same way: no retries. */
  readonly final: boolean;
}

/** What to set, where the error of a connection says plainly enough what was wrong; undefined for an outage. */
function adviceOn(error: { name?: string; code?: string }, { tls, sasl }: ConnectionKind): Advice | undefined {
  const { name, code = '' } = error;
  if (name === 'KafkaJSSASLAuthenticationError') {
    return {
      text: 'check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, or the KAFKA_OAUTH_* variables',
      final: true,
    };
  }
  if (UNTRUSTED.has(code)) {
    return { text: 'give the authority that signed the broker’s certificate as KAFKA_SSL_CA', final: true };
  }
  if (code === 'CERT_HAS_EXPIRED') return { text: 'the broker’s certificate has expired', final: true };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return { text: 'use the name in KAFKA_BROKERS that the broker’s certificate was issued for', final: true };
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return { text: 'the broker speaks no TLS on this port: unset KAFKA_SSL or take the port that does', final: true };
  }
  // A broker closes a connection that breaks its listener's rules without a word; one that stops does so too.
  const closed = name === 'KafkaJSConnectionClosedError' || code === 'ECONNRESET';
  if (!closed) return undefined;
  if (!tls)
    return {
      text: 'if its listener asks for TLS, set KAFKA_SSL=true; if for a user, KAFKA_SASL_MECHANISM',
      final: false,
    };
  return sasl ? undefined : { text: 'if its listener asks for a user, set KAFKA_SASL_MECHANISM', final: false };
}

/**
 * Lets the error of a connection that was refused say what to set, and spares the retries where they are in vain. A
 * listener that asks for a user answers the handshake, and closes the connection at the first request: metadata.
 */
export function adviseOnConnections(): void {
  const { connect, metadata } = BrokerClass.prototype;
  BrokerClass.prototype.connect = function () {
    return advised(this, connect.call(this));
  };
  BrokerClass.prototype.metadata = function (topics) {
    return advised(this, metadata.call(this, topics));
  };
}

async function advised<T>({ connectionPool }: ConnectingBroker, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { sasl, ssl } = connectionPool;
    const advice = adviceOn(error as Error, { tls: Boolean(ssl), sasl: Boolean(sasl) });
    if (!advice) throw error;
    const message = `${(error as Error).message}: ${advice.text}`;
    if (advice.final) throw Object.assign(new kafkajs.KafkaJSNonRetriableError(message), { cause: error });
    (error as Error).message = message;
    throw error;
  }
}
