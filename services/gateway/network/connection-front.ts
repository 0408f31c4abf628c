import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { readProxyHeader } from './proxy-header.ts';
import type { WatchedFiles } from './watched-files.ts';

/** A certificate chain and its key, both PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** @throws {Error} unless the key is the certificate's. */
export function parseCertificate([cert = '', key = '']: readonly string[]): Certificate {
  createSecureContext({ cert, key });
  return { cert, key };
}

export interface ConnectionFrontOptions {
  /** Whether each connection begins with a header of the PROXY protocol; believed of trusted proxies alone. */
  readonly proxyProtocol: boolean;
  readonly trusts: (address: string | undefined) => boolean;
  /** Undefined for connections without TLS. */
  readonly certificate: WatchedFiles<Certificate> | undefined;
  /** Longest TLS handshake. */
  readonly handshakeTimeoutMs: number;
  /** A connection has come; it is not yet known whether it will be handed on. */
  readonly onConnection: (socket: Socket) => void;
  /** It is ready for HTTP. @param source its address behind a load balancer */
  readonly onReady: (socket: Socket, transport: Socket, source: string | undefined) => void;
  /** It is refused, and why. */
  readonly onRefused: (problem: string) => void;
}

/** Stands before the HTTP server: reads the PROXY protocol's header, then speaks TLS, as configured. */
export class ConnectionFront {
  readonly server: Server;
  readonly #options: ConnectionFrontOptions;
  readonly #tls: TlsServer | undefined;
  #certificate: Certificate | undefined;
  /** Connections in their TLS handshake, by addresses and ports: the TLS server does not say which one it was given. */
  readonly #inHandshake = new Map<string, { transport: Socket; source: string | undefined }>();

  constructor(options: ConnectionFrontOptions) {
    this.#options = options;
    this.server = createServer({ pauseOnConnect: options.proxyProtocol }, (socket) => this.#onConnection(socket));
    const certificate = options.certificate?.value;
    if (!certificate) return;
    this.#certificate = certificate;
    this.#tls = createTlsServer({
      ...certificate,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: options.handshakeTimeoutMs,
    });
    this.#tls.on('secureConnection', (socket) => {
      const found = this.#inHandshake.get(nameOf(socket));
      if (found) options.onReady(socket, found.transport, found.source);
      else socket.destroy();
    });
    this.#tls.on('tlsClientError', (error, socket) => {
      options.onRefused(`TLS: ${error.message}`);
      socket.destroy();
    });
  }

  /** Called about once a second: takes a certificate that was exchanged. Open connections keep theirs. */
  refresh(): void {
    const { certificate } = this.#options;
    if (!certificate || !this.#tls) return;
    void certificate.refresh();
    if (certificate.value === this.#certificate) return;
    this.#certificate = certificate.value;
    this.#tls.setSecureContext({ ...certificate.value, minVersion: 'TLSv1.2' });
  }

  #onConnection(socket: Socket): void {
    const { proxyProtocol, trusts, onConnection } = this.#options;
    socket.on('error', () => socket.destroy());
    onConnection(socket);
    if (!proxyProtocol) this.#proceed(socket, undefined);
    else if (trusts(socket.remoteAddress)) this.#readHeader(socket);
    else this.#refuse(socket, `${socket.remoteAddress} is none of TRUSTED_PROXIES`);
  }

  /** Reads no further than the header: what follows is put back. The socket's time is bounded by its handshake's. */
  #readHeader(socket: Socket): void {
    let read: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      read = read.length === 0 ? chunk : Buffer.concat([read, chunk]);
      const header = readProxyHeader(read);
      if (header.kind === 'incomplete') return;
      socket.off('data', onData);
      socket.pause();
      if (header.kind === 'invalid') {
        this.#refuse(socket, header.problem);
        return;
      }
      if (read.length > header.bytes) socket.unshift(read.subarray(header.bytes));
      this.#proceed(socket, header.source);
    };
    socket.on('data', onData);
    socket.resume();
  }

  #proceed(socket: Socket, source: string | undefined): void {
    if (!this.#tls) {
      this.#options.onReady(socket, socket, source);
      // It was paused behind the header; a listener for data alone does not undo that.
      socket.resume();
      return;
    }
    const name = nameOf(socket);
    this.#inHandshake.set(name, { transport: socket, source });
    socket.once('close', () => this.#inHandshake.delete(name));
    this.#tls.emit('connection', socket);
  }

  #refuse(socket: Socket, problem: string): void {
    this.#options.onRefused(problem);
    socket.destroy();
  }
}

const nameOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
